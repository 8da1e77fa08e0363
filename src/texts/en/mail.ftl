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

mail-application-subject = { $mall }: your application
mail-application-greeting = Hello { $company },
mail-application-started = you have begun an application to join { $mall }. Nothing is sent in yet.
mail-application-link-asked = somebody, probably you, asked for the link to your application at { $mall }.
mail-application-submitted = your application at { $mall } has arrived. We write to you as soon as somebody looks at it.
mail-application-under-review = somebody at { $mall } is looking at your application.
mail-application-information-asked = { $mall } needs to know more about your application. What you have said is kept; change it and send it in again.
mail-application-resubmitted = what you added to your application at { $mall } has arrived.
mail-application-approved = { $mall } has approved your application. One thing is left: read the agreement and accept it. Another letter lets you choose a password.
mail-application-live = the agreement is accepted: you are part of { $mall } from now on.
mail-application-rejected = { $mall } cannot accept your application. You may apply again; everything that you said is kept.
mail-application-withdrawn = your application at { $mall } is withdrawn. You may begin it anew; everything that you said is kept.
mail-application-reopened = your application at { $mall } is a draft again.
mail-application-suspended = your stores at { $mall } neither give nor take points for now. Refunds go on.
mail-application-activated = your stores at { $mall } give and take points again.
mail-application-leaving = you are leaving { $mall }: your stores give no more points. What was given is settled as always.
mail-application-left = you have left { $mall }. Thank you for the time together.
mail-application-reason = { $reason }
mail-application-link = Your application is here: { $link }
mail-application-until = This link is for you alone and opens until { $until }. On the application page you can have another one sent.
mail-application-close = { $mall }
