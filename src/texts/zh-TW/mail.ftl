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

mail-application-subject = { $mall }：進駐申請
mail-application-greeting = { $company } 您好：
mail-application-started = 您已開始申請加入{ $mall }。資料尚未送出。
mail-application-link-asked = 有人（可能是您本人）索取了您在{ $mall }的進駐申請連結。
mail-application-submitted = 您在{ $mall }的進駐申請已收到。開始審核時我們會通知您。
mail-application-under-review = { $mall }正在審核您的進駐申請。
mail-application-information-asked = { $mall }需要您補充進駐資料。已填寫的內容均已保留，請修改後重新送出。
mail-application-resubmitted = 您補充的{ $mall }進駐資料已收到。
mail-application-approved = { $mall }已核准您的進駐申請。請閱讀並接受進駐合約；另有一封郵件供您設定登入密碼。
mail-application-live = 進駐合約已接受，您已正式加入{ $mall }。
mail-application-rejected = { $mall }未核准您的進駐申請。您可以重新申請，已填寫的內容均已保留。
mail-application-withdrawn = 您在{ $mall }的進駐申請已撤回。您可以重新開始，已填寫的內容均已保留。
mail-application-reopened = 您在{ $mall }的進駐申請已恢復為草稿。
mail-application-suspended = 您在{ $mall }的門市暫停發放及收取點數，退款照常辦理。
mail-application-activated = 您在{ $mall }的門市已恢復發放及收取點數。
mail-application-leaving = 您正在退出{ $mall }：門市不再發放點數，已發放的點數照常結算。
mail-application-left = 您已退出{ $mall }。感謝一路同行。
mail-application-reason = { $reason }
mail-application-link = 您的申請：{ $link }
mail-application-until = 此連結僅供您本人使用，有效期限至 { $until }。您可以在申請頁面重新取得連結。
mail-application-close = { $mall }
