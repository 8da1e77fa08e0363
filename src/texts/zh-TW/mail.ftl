# 郵件。

mail-statement-subject = { $mall }：{ $merchant } { $period } 對帳單
mail-statement-greeting = { $merchant } 您好：
mail-statement-text = 貴店在{ $mall }的 { $period } 對帳單已出帳，淨額 { $net }（正數為應收，負數為應付）。對帳單請見附件。
mail-statement-until = 請於 { $until } 前確認，或就明細提出異議；逾期視為確認。
mail-statement-link = 有權限的人員亦可於此下載：{ $link }
mail-statement-close = { $mall }

mail-invitation-subject = { $mall }：工作人員邀請
mail-invitation-greeting = { $name } 您好：
mail-invitation-text = { $mall }邀請您成為工作人員。請開啟以下連結設定密碼：
mail-invitation-link = { $link }
mail-invitation-otherwise = 連結僅可使用一次，有效期限至 { $until }。若您不了解此邀請，無須進行任何操作。
mail-invitation-close = { $mall }

mail-reset-subject = { $mall }：設定新密碼
mail-reset-greeting = { $name } 您好：
mail-reset-text = 有人（可能是您本人）申請重設{ $mall }的密碼。請開啟以下連結設定新密碼並登入：
mail-reset-link = { $link }
mail-reset-otherwise = 連結僅可使用一次，有效期限至 { $until }。若非您本人申請，無須進行任何操作：沒有此連結，任何人都無法登入。
mail-reset-close = { $mall }

sms-sign-in-code = 【{ $mall }】驗證碼 { $code }，五分鐘內有效。請勿告訴任何人，我們不會向您索取。
