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

mail-application-subject = { $mall }：入驻申请
mail-application-greeting = { $company }，您好：
mail-application-started = 您已开始申请加入{ $mall }。资料尚未提交。
mail-application-link-asked = 有人（可能是您本人）索取了您在{ $mall }的入驻申请链接。
mail-application-submitted = 您在{ $mall }的入驻申请已收到。开始审核时我们会通知您。
mail-application-under-review = { $mall }正在审核您的入驻申请。
mail-application-information-asked = { $mall }需要您补充入驻资料。已填写的内容均已保留，请修改后重新提交。
mail-application-resubmitted = 您补充的{ $mall }入驻资料已收到。
mail-application-approved = { $mall }已通过您的入驻申请。请阅读并接受入驻协议；另有一封邮件供您设置登录密码。
mail-application-live = 入驻协议已接受，您已正式加入{ $mall }。
mail-application-rejected = { $mall }未通过您的入驻申请。您可以重新申请，已填写的内容均已保留。
mail-application-withdrawn = 您在{ $mall }的入驻申请已撤回。您可以重新开始，已填写的内容均已保留。
mail-application-reopened = 您在{ $mall }的入驻申请已恢复为草稿。
mail-application-suspended = 您在{ $mall }的门店暂停发放和收取积分，退款照常办理。
mail-application-activated = 您在{ $mall }的门店已恢复发放和收取积分。
mail-application-leaving = 您正在退出{ $mall }：门店不再发放积分，已发放的积分照常结算。
mail-application-left = 您已退出{ $mall }。感谢一路同行。
mail-application-reason = { $reason }
mail-application-link = 您的申请：{ $link }
mail-application-until = 此链接仅供您本人使用，有效期至 { $until }。您可以在申请页面重新获取链接。
mail-application-close = { $mall }
