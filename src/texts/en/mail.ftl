# Letters.

mail-statement-subject = { $mall }: statement of { $merchant } for { $period }
mail-statement-greeting = To { $merchant }:
mail-statement-text = your statement for { $period } at { $mall } is issued. The net is { $net }: above zero is owed to you, below zero you owe it. The statement is attached.
mail-statement-until = You can confirm it, or object to single lines, until { $until }. After that it counts as confirmed.
mail-statement-link = It is also here, for those who may see it: { $link }
mail-statement-close = { $mall }
