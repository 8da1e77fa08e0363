# 邮件。

mail-statement-subject = { $mall }：{ $merchant } { $period } 对账单
mail-statement-greeting = { $merchant }，您好：
mail-statement-text = 贵店在{ $mall }的 { $period } 对账单已出账，净额 { $net }（正数为应收，负数为应付）。对账单见附件。
mail-statement-until = 请在 { $until } 前确认，或对明细提出异议；逾期视为确认。
mail-statement-link = 有权限的人员也可在此下载：{ $link }
mail-statement-close = { $mall }

mail-invitation-subject = { $mall }：工作人员邀请
mail-invitation-greeting = { $name }，您好：
mail-invitation-text = { $mall }邀请您成为工作人员。请打开以下链接设置密码：
mail-invitation-link = { $link }
mail-invitation-otherwise = 链接仅可使用一次，有效期至 { $until }。如果您不了解此邀请，无需任何操作。
mail-invitation-close = { $mall }

mail-reset-subject = { $mall }：设置新密码
mail-reset-greeting = { $name }，您好：
mail-reset-text = 有人（可能是您本人）申请重设{ $mall }的密码。请打开以下链接设置新密码并登录：
mail-reset-link = { $link }
mail-reset-otherwise = 链接仅可使用一次，有效期至 { $until }。如果不是您本人申请，无需任何操作：没有此链接，任何人都无法登录。
mail-reset-close = { $mall }

sms-sign-in-code = 【{ $mall }】验证码 { $code }，五分钟内有效。请勿告诉任何人，我们不会向您索要。
