# 郵件。

mail-statement-subject = { $mall }：{ $merchant } { $period } 對帳單
mail-statement-greeting = { $merchant } 您好：
mail-statement-text = 貴店在{ $mall }的 { $period } 對帳單已出帳，淨額 { $net }（正數為應收，負數為應付）。對帳單請見附件。
mail-statement-until = 請於 { $until } 前確認，或就明細提出異議；逾期視為確認。
mail-statement-link = 有權限的人員亦可於此下載：{ $link }
mail-statement-close = { $mall }
