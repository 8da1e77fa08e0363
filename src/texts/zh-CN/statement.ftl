# 商户对账单：表格、工作簿与纸面。

statement-title = 结算对账单
statement-file = 对账单
statement-about = 对账单
statement-merchant = 商户
statement-period = { $unit ->
    [day] 账期（日）
    [week] 账期（周）
   *[month] 账期
}
statement-currency = 币种
statement-id = 对账单编号
statement-settlement = 结算编号
statement-state = 状态
statement-issued-at = 出账时间
statement-confirm-by = 异议截止
statement-confirmed-at = 确认时间
statement-tax-rate = 含税税率
statement-digest = 本对账单摘要值
statement-settlement-digest = 本期结算摘要值
statement-zone = 时间按 { $zone }，金额单位 { $currency }。净额、净额构成与收付款中，正数为商户应收，负数为商户应付。
statement-draft-note = 草稿：本期结算尚未出账，不作为收付款依据。

statement-state-proofed = 草稿
statement-state-issued = 已出账
statement-state-confirmed = 已确认
statement-state-auto_confirmed = 逾期自动确认

statement-figures = 汇总
statement-lines = 净额构成
statement-payments = 收付款
statement-no-lines = { $unit ->
    [day] 当日没有涉及金额的明细。
    [week] 当周没有涉及金额的明细。
   *[month] 早期结账的月份没有明细。
}

statement-item = 项目
statement-partner = 对方
statement-points = 积分
statement-value = 折算价值
statement-amount = 金额
statement-payment = 收付款
statement-due = 期限
statement-sum = 净额

statement-operator = 运营方
statement-pays = 本商户付给{ $other }
statement-receives = { $other }付给本商户
statement-payment-due = 待付
statement-payment-due-on = { $day } 前付清
statement-payment-paid = 已付
statement-payment-offset = 已抵扣
statement-payment-covered = 违约后已处理

figure-issued = 发出积分
figure-taken_back = 收回积分
figure-redeemed = 受理积分
figure-given_back = 退还积分
figure-expired = 过期积分
figure-own_points = 受理中的本店积分
figure-own_value = 本店积分价值（不涉及收付）
figure-pays = 应付其他商户
figure-receives = 应收其他商户
figure-funded = 缴入积分池
figure-fee = 运营方服务费
figure-breakage = 过期积分分成
figure-adjusted = { $unit ->
    [day] 往期调整
    [week] 往期调整
   *[month] 往期调整
}
figure-net = 净额
figure-tax_received = 应收款所含税额
figure-tax_fee = 服务费所含税额

line-redeemed = 受理他店积分
line-given_back = 退还他店积分
line-own_shop = 受理本店积分
line-charged = 本店积分被受理
line-credited = 本店积分被退还
line-funded = 缴入积分池
line-breakage = 过期积分分成
line-fee = 受理服务费
line-issue_fee = 发分服务费
line-fixed_fee = { $unit ->
    [day] 每日服务费
    [week] 每周服务费
   *[month] 月度服务费
}
line-contribution = 运营方补贴
line-margin = 运营方价差
line-pool = 积分池
line-fund = 联盟基金
line-adjustment = { $unit ->
    [day] 往期调整
    [week] 往期调整
   *[month] 往期调整
}
line-prepaid = 预付积分抵扣
line-carried = 违约结转

sheet-period = 账期
sheet-currency = 币种
sheet-merchant = 商户
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
sheet-item = 项目
sheet-detail = 说明
sheet-points = 积分
sheet-value = 折算价值
sheet-amount = 金额

paper-page = 第 { $page } 页，共 { $pages } 页
