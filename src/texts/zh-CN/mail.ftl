# 邮件。

mail-statement-subject = { $mall }：{ $merchant } { $period } 对账单
mail-statement-greeting = { $merchant }，您好：
mail-statement-text = 贵店在{ $mall }的 { $period } 对账单已出账，净额 { $net }（正数为应收，负数为应付）。对账单见附件。
mail-statement-until = 请在 { $until } 前确认，或对明细提出异议；逾期视为确认。
mail-statement-link = 有权限的人员也可在此下载：{ $link }
mail-statement-close = { $mall }
