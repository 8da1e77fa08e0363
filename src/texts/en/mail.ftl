# Letters.

mail-statement-subject = { $mall }: statement of { $merchant } for { $period }
mail-statement-greeting = To { $merchant }:
mail-statement-text = your statement for { $period } at { $mall } is issued. The net is { $net }: above zero is owed to you, below zero you owe it. The statement is attached.
mail-statement-until = You can confirm it, or object to single lines, until { $until }. After that it counts as confirmed.
mail-statement-link = It is also here, for those who may see it: { $link }
mail-statement-close = { $mall }

mail-invitation-subject = { $mall }: your invitation
mail-invitation-greeting = Hello { $name },
mail-invitation-text = you are invited to work in { $mall }. Follow this link to choose a password:
mail-invitation-link = { $link }
mail-invitation-otherwise = The link opens once, until { $until }. If you expected no invitation, nothing needs to be done.
mail-invitation-close = { $mall }

mail-reset-subject = { $mall }: choose a new password
mail-reset-greeting = Hello { $name },
mail-reset-text = somebody, probably you, asked for a new password at { $mall }. Follow this link to choose one and to come in:
mail-reset-link = { $link }
mail-reset-otherwise = The link opens once, until { $until }. If it was not you, nothing needs to be done: without the link nobody comes in.
mail-reset-close = { $mall }

sms-sign-in-code = { $code } is your code for { $mall }. It works for five minutes. Tell it to nobody: we never ask for it.
