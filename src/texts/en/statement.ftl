# A merchant's statement: as a sheet, a workbook and on paper.

statement-title = Settlement statement
statement-file = statement
statement-about = Statement
statement-merchant = Merchant
statement-period = { $unit ->
    [day] Day
    [week] Week
   *[month] Month
}
statement-currency = Currency
statement-id = Statement no.
statement-settlement = Settlement no.
statement-state = State
statement-issued-at = Issued
statement-confirm-by = Objections until
statement-confirmed-at = Confirmed
statement-tax-rate = Tax included
statement-digest = Digest of this statement
statement-settlement-digest = Digest of the settlement
statement-zone = Times are those of { $zone }, amounts are in { $currency }. In the net, in what it is made of and in payments, what is above zero is owed to the merchant, and what is below zero it owes.
statement-draft-note = Draft: the settlement is not issued yet, and this is no claim.

statement-state-proofed = Draft
statement-state-issued = Issued
statement-state-confirmed = Confirmed
statement-state-auto_confirmed = Confirmed by lapse of time

statement-figures = Figures
statement-lines = What the net is made of
statement-payments = Payments
statement-no-lines = { $unit ->
    [day] Nothing of this day moved money.
    [week] Nothing of this week moved money.
   *[month] Months that were closed before statements had lines have none.
}

statement-item = Item
statement-partner = With
statement-points = Points
statement-value = Worth
statement-amount = Amount
statement-payment = Payment
statement-due = Due
statement-sum = Net

statement-operator = the operator
statement-pays = The merchant pays { $other }
statement-receives = { $other } pays the merchant
statement-payment-due = due
statement-payment-due-on = due on { $day }
statement-payment-paid = paid
statement-payment-offset = offset against something else
statement-payment-covered = settled after a default

figure-issued = Points issued
figure-taken_back = Points taken back
figure-redeemed = Points accepted
figure-given_back = Points given back
figure-expired = Points expired
figure-own_points = of those accepted, own points
figure-own_value = Worth of own points (moves no money)
figure-pays = Owed to partners
figure-receives = Owed by partners
figure-funded = Paid into the pool
figure-fee = Fees of the operator
figure-breakage = Share in expired points
figure-adjusted = { $unit ->
    [day] Adjustments of earlier days
    [week] Adjustments of earlier weeks
   *[month] Adjustments of earlier months
}
figure-net = Net
figure-tax_received = Tax in what partners owe
figure-tax_fee = Tax in the fees

line-redeemed = Accepted points of
line-given_back = Given back, points of
line-own_shop = Own points, accepted
line-charged = Own points accepted by
line-credited = Own points given back by
line-funded = Paid into the pool
line-breakage = Share in expired points
line-fee = Fee on accepted points
line-issue_fee = Fee on issued points
line-fixed_fee = { $unit ->
    [day] Fee for the day
    [week] Fee for the week
   *[month] Fee for the month
}
line-contribution = Contribution of the operator
line-margin = Margin of the operator
line-pool = Pool
line-fund = Alliance fund
line-adjustment = { $unit ->
    [day] Adjustment of an earlier day
    [week] Adjustment of an earlier week
   *[month] Adjustment of an earlier month
}
line-prepaid = Paid in advance, for the pool
line-carried = Carried over from a default

sheet-period = period
sheet-currency = currency
sheet-merchant = merchant
sheet-issued = issued
sheet-taken_back = taken_back
sheet-redeemed = redeemed
sheet-given_back = given_back
sheet-expired = expired
sheet-own_points = own_points
sheet-own_value = own_value
sheet-pays = pays
sheet-receives = receives
sheet-funded = funded
sheet-fee = fee
sheet-breakage = breakage
sheet-adjusted = adjusted
sheet-net = net
sheet-tax_received = tax_received
sheet-tax_fee = tax_fee
sheet-part = part
sheet-item = item
sheet-detail = detail
sheet-points = points
sheet-value = worth
sheet-amount = amount

paper-page = Page { $page } of { $pages }
