# 商家對帳單：表格、活頁簿與紙本。

statement-title = 結算對帳單
statement-file = 對帳單
statement-about = 對帳單
statement-merchant = 商家
statement-period = { $unit ->
    [day] 帳期（日）
    [week] 帳期（週）
   *[month] 帳期
}
statement-currency = 幣別
statement-id = 對帳單編號
statement-settlement = 結算編號
statement-state = 狀態
statement-issued-at = 出帳時間
statement-confirm-by = 異議期限
statement-confirmed-at = 確認時間
statement-tax-rate = 內含稅率
statement-digest = 本對帳單雜湊值
statement-settlement-digest = 本期結算雜湊值
statement-zone = 時間依 { $zone }，金額單位 { $currency }。淨額、淨額組成與收付款中，正數為商家應收，負數為商家應付。
statement-draft-note = 草稿：本期結算尚未出帳，不作為收付款憑據。

statement-state-proofed = 草稿
statement-state-issued = 已出帳
statement-state-confirmed = 已確認
statement-state-auto_confirmed = 逾期視為確認

statement-figures = 彙總
statement-lines = 淨額組成
statement-payments = 收付款
statement-no-lines = { $unit ->
    [day] 當日沒有涉及金額的明細。
    [week] 當週沒有涉及金額的明細。
   *[month] 較早結帳的月份沒有明細。
}

statement-item = 項目
statement-partner = 往來對象
statement-points = 點數
statement-value = 折算價值
statement-amount = 金額
statement-payment = 收付款
statement-due = 期限
statement-sum = 淨額

statement-operator = 營運方
statement-pays = 本商家付給{ $other }
statement-receives = { $other }付給本商家
statement-payment-due = 待付
statement-payment-due-on = { $day } 前付清
statement-payment-paid = 已付
statement-payment-offset = 已抵銷
statement-payment-covered = 違約後已處理

figure-issued = 發出點數
figure-taken_back = 收回點數
figure-redeemed = 受理點數
figure-given_back = 退還點數
figure-expired = 到期點數
figure-own_points = 受理中的自店點數
figure-own_value = 自店點數價值（不涉及收付）
figure-pays = 應付其他商家
figure-receives = 應收其他商家
figure-funded = 提撥至點數池
figure-fee = 營運方服務費
figure-breakage = 到期點數分配
figure-adjusted = { $unit ->
    [day] 前期調整
    [week] 前期調整
   *[month] 前期調整
}
figure-net = 淨額
figure-tax_received = 應收款內含稅額
figure-tax_fee = 服務費內含稅額

line-redeemed = 受理他店點數
line-given_back = 退還他店點數
line-own_shop = 受理自店點數
line-charged = 自店點數被受理
line-credited = 自店點數被退還
line-funded = 提撥至點數池
line-breakage = 到期點數分配
line-fee = 受理服務費
line-issue_fee = 發點服務費
line-fixed_fee = { $unit ->
    [day] 每日服務費
    [week] 每週服務費
   *[month] 每月服務費
}
line-contribution = 營運方補助
line-margin = 營運方價差
line-pool = 點數池
line-fund = 聯盟基金
line-adjustment = { $unit ->
    [day] 前期調整
    [week] 前期調整
   *[month] 前期調整
}
line-prepaid = 預付點數抵扣
line-carried = 違約結轉

sheet-period = 帳期
sheet-currency = 幣別
sheet-merchant = 商家
sheet-issued = { figure-issued }
sheet-taken_back = { figure-taken_back }
sheet-redeemed = { figure-redeemed }
sheet-given_back = { figure-given_back }
sheet-expired = { figure-expired }
sheet-own_points = { figure-own_points }
sheet-own_value = { figure-own_value }
sheet-pays = { figure-pays }
sheet-receives = { figure-receives }
sheet-funded = { figure-funded }
sheet-fee = { figure-fee }
sheet-breakage = { figure-breakage }
sheet-adjusted = { figure-adjusted }
sheet-net = { figure-net }
sheet-tax_received = { figure-tax_received }
sheet-tax_fee = { figure-tax_fee }
sheet-part = 部分
sheet-item = 項目
sheet-detail = 說明
sheet-points = 點數
sheet-value = 折算價值
sheet-amount = 金額

paper-page = 第 { $page } 頁，共 { $pages } 頁
