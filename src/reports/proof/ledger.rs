//! What must hold of transfers, wallets, histories and lots.

use super::{Question, held_by_owner, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "transfers-complete",
        "every transfer goes from one known account to another, in the period of its entry",
        "select case
            when journal.journal_id is null then
                format('jrn:%s line %s has no entry', transfer.journal_id, transfer.line)
            when source.account_id is null then
                format('jrn:%s line %s comes out of acc:%s which is not in the directory',
                    transfer.journal_id, transfer.line, transfer.from_account)
            when target.account_id is null then
                format('jrn:%s line %s goes into acc:%s which is not in the directory',
                    transfer.journal_id, transfer.line, transfer.to_account)
            when journal.posted_in <> transfer.posted_in then
                format('jrn:%s line %s is posted in %s and its entry in %s',
                    transfer.journal_id, transfer.line, transfer.posted_in, journal.posted_in)
         end
         from transfer
         left join journal on journal.journal_id = transfer.journal_id
         left join account as source on source.account_id = transfer.from_account
         left join account as target on target.account_id = transfer.to_account"
    ),
    question!(
        "sum-zero",
        "all transfers over all accounts add up to zero, in points and in each currency",
        "select case when sum(amount) <> 0 then format('%s are off by %s', unit, sum(amount)) end
         from (
            select account.unit, transfer.amount
            from transfer
            join account on account.account_id = transfer.to_account
            union all
            select account.unit, -transfer.amount
            from transfer
            join account on account.account_id = transfer.from_account
         ) as side
         group by unit"
    ),
    question!(
        "account-ids",
        "every account's id follows from what the account is",
        "select case when account_id <> derived then
            format('acc:%s is a %s account and should be acc:%s', account_id, kind, derived) end
         from (
            select account_id, kind,
                encode(set_byte(set_byte(bytes, 6, (get_byte(bytes, 6) & 15) | 128), 8,
                    (get_byte(bytes, 8) & 63) | 128), 'hex')::uuid as derived
            from (
                select account_id, kind,
                    substring(sha256(convert_to(kind, 'UTF8') || decode('00', 'hex')
                        || uuid_send(coalesce(owner_id, '00000000-0000-0000-0000-000000000000'))
                        || uuid_send(coalesce(partner_id, '00000000-0000-0000-0000-000000000000'))
                        || convert_to(unit, 'UTF8')) from 1 for 16) as bytes
                from account
            ) as hashed
         ) as account"
    ),
    question!(
        "account-parties",
        "every account belongs to a member or merchant of this mall",
        "select case
            when kind in ('wallet', 'held', 'deficit') and member.member_id is null then
                format('acc:%s belongs to mem:%s who is no member', account_id, owner_id)
            when kind in ('issued', 'accepted', 'expired', 'outside', 'deposit', 'prepaid', 'guarantee')
                and owner.merchant_id is null then
                format('acc:%s belongs to mer:%s which is no merchant', account_id, owner_id)
            when kind in ('payable', 'receivable') and owner_id is not null
                and owner.merchant_id is null then
                format('acc:%s belongs to mer:%s which is no merchant', account_id, owner_id)
            when kind in ('accepted', 'deficit') and partner.merchant_id is null then
                format('acc:%s is about mer:%s which is no merchant', account_id, partner_id)
         end
         from account
         left join member on member.member_id = account.owner_id
         left join merchant as owner on owner.merchant_id = account.owner_id
         left join merchant as partner on partner.merchant_id = account.partner_id"
    ),
    question!(
        "wallet-owner",
        "every member has one wallet, and every wallet a member",
        "select case
            when wallet.member_id is null then format('mem:%s has no wallet', member.member_id)
            when member.member_id is null then
                format('mem:%s has a wallet and is no member', wallet.member_id)
         end
         from member
         full outer join wallet on wallet.member_id = member.member_id"
    ),
    question!(
        "wallet-available",
        "a member's balance is what is left of the lots, and what the transfers come to",
        "select case
            when wallet.available <> coalesce(lots.points, 0)
                or wallet.available <> coalesce(moved.points, 0) then
                format('mem:%s has %s points and lots with %s and transfers for %s',
                    wallet.member_id, wallet.available, coalesce(lots.points, 0),
                    coalesce(moved.points, 0))
         end
         from wallet
         left join (select member_id, sum(remaining) as points from lot group by member_id) as lots
            on lots.member_id = wallet.member_id
         left join ",
        held_by_owner!("wallet"),
        " as moved on moved.owner_id = wallet.member_id"
    ),
    question!(
        "wallet-held",
        "what is promised is what open reservations cost, and what the transfers come to",
        "select case
            when wallet.held <> coalesce(promised.points, 0)
                or wallet.held <> coalesce(moved.points, 0) then
                format('mem:%s has %s points held and reservations of %s and transfers for %s',
                    wallet.member_id, wallet.held, coalesce(promised.points, 0),
                    coalesce(moved.points, 0))
         end
         from wallet
         left join (
            select member_id, sum(points) as points
            from redemption
            where state = 'reserved'
            group by member_id
         ) as promised on promised.member_id = wallet.member_id
         left join ",
        held_by_owner!("held"),
        " as moved on moved.owner_id = wallet.member_id"
    ),
    question!(
        "wallet-debt",
        "what a member owes is what is left of the debts, and what the transfers come to",
        "select case
            when wallet.debt <> coalesce(debts.points, 0)
                or wallet.debt <> -coalesce(moved.points, 0) then
                format('mem:%s owes %s points and has debts of %s and transfers for %s',
                    wallet.member_id, wallet.debt, coalesce(debts.points, 0),
                    -coalesce(moved.points, 0))
         end
         from wallet
         left join (
            select member_id, sum(remaining) as points from deficit group by member_id
         ) as debts on debts.member_id = wallet.member_id
         left join ",
        held_by_owner!("deficit"),
        " as moved on moved.owner_id = wallet.member_id"
    ),
    question!(
        "history-order",
        "a member's history is numbered without gaps, and each balance follows from the one before",
        "select case
            when seq is distinct from place then
                format('jrn:%s is line %s of mem:%s and should be line %s', journal_id, seq,
                    member_id, place)
            when balance_after <> before + points then
                format('jrn:%s has the balance %s after %s and %s', journal_id, balance_after,
                    before, points)
         end
         from (
            select journal_id, member_id, seq, points, balance_after,
                row_number() over history as place,
                lag(balance_after, 1, 0::bigint) over history as before
            from journal
            where member_id is not null
            window history as (partition by member_id order by seq)
         ) as line"
    ),
    question!(
        "history-end",
        "the last line of a member's history says what the wallet says",
        "select case
            when wallet.seq <> coalesce(last.seq, 0) then
                format('mem:%s has %s lines by the wallet and %s by the history',
                    wallet.member_id, wallet.seq, coalesce(last.seq, 0))
            when wallet.available - wallet.debt <> coalesce(last.balance_after, 0) then
                format('mem:%s has the balance %s by the wallet and %s by the history',
                    wallet.member_id, wallet.available - wallet.debt,
                    coalesce(last.balance_after, 0))
         end
         from wallet
         left join (
            select distinct on (member_id) member_id, seq, balance_after
            from journal
            where member_id is not null
            order by member_id, seq desc
         ) as last on last.member_id = wallet.member_id"
    ),
    question!(
        "history-moves",
        "a line of a history says what its transfers did to the balance",
        "select case when journal.points <> coalesce(moved.points, 0) then
            format('jrn:%s says %s points and its transfers %s', journal.journal_id,
                journal.points, coalesce(moved.points, 0)) end
         from journal
         left join (
            select journal_id, sum(amount) as points
            from (
                select transfer.journal_id, transfer.amount
                from transfer
                join account on account.account_id = transfer.to_account
                where account.kind in ('wallet', 'deficit')
                union all
                select transfer.journal_id, -transfer.amount
                from transfer
                join account on account.account_id = transfer.from_account
                where account.kind in ('wallet', 'deficit')
            ) as side
            group by journal_id
         ) as moved on moved.journal_id = journal.journal_id"
    ),
];

pub(super) const LOT_QUESTIONS: &[Question] = &[
    question!(
        "lot-issued",
        "every lot was issued once, by its merchant, to its member, with its points and worth",
        "select case
            when issue.times is null then format('lot:%s was never issued', lot.lot_id)
            when issue.times > 1 then
                format('lot:%s was issued %s times', lot.lot_id, issue.times)
            when issue.points <> lot.points or issue.worth <> lot.worth then
                format('lot:%s has %s points worth %s and was issued with %s worth %s',
                    lot.lot_id, lot.points, lot.worth, issue.points, issue.worth)
            when issue.issuer <> lot.merchant_id then
                format('lot:%s says that mer:%s issued it and its transfer says mer:%s',
                    lot.lot_id, lot.merchant_id, issue.issuer)
            when issue.member is distinct from lot.member_id then
                format('lot:%s says that it was issued to mem:%s and its transfer says mem:%s',
                    lot.lot_id, lot.member_id, issue.member)
            when issue.journal_id <> lot.journal_id then
                format('lot:%s says that jrn:%s issued it and its transfer says jrn:%s',
                    lot.lot_id, lot.journal_id, issue.journal_id)
         end
         from lot
         left join (
            select transfer.lot_id, count(*) as times, sum(transfer.amount) as points,
                sum(transfer.value) as worth, min(source.owner_id::text)::uuid as issuer,
                min(target.owner_id::text) filter (where target.kind = 'wallet')::uuid as member,
                min(transfer.journal_id::text)::uuid as journal_id
            from transfer
            join account as source on source.account_id = transfer.from_account
            join account as target on target.account_id = transfer.to_account
            where source.kind = 'issued'
            group by transfer.lot_id
         ) as issue on issue.lot_id = lot.lot_id"
    ),
    question!(
        "lot-left",
        "what is left of a lot, in points and worth, is what its transfers left in the wallet",
        "select case
            when lot.remaining <> coalesce(moved.points, 0) then
                format('lot:%s has %s points left and transfers for %s', lot.lot_id,
                    lot.remaining, coalesce(moved.points, 0))
            when lot.worth_left <> coalesce(moved.worth, 0) then
                format('lot:%s has %s of its worth left and transfers for %s', lot.lot_id,
                    lot.worth_left, coalesce(moved.worth, 0))
         end
         from lot
         left join (
            select lot_id, sum(amount) as points, sum(value) as worth
            from (
                select transfer.lot_id, transfer.amount, transfer.value
                from transfer
                join account on account.account_id = transfer.to_account
                where account.kind = 'wallet'
                union all
                select transfer.lot_id, -transfer.amount, -transfer.value
                from transfer
                join account on account.account_id = transfer.from_account
                where account.kind = 'wallet'
            ) as side
            group by lot_id
         ) as moved on moved.lot_id = lot.lot_id"
    ),
    question!(
        "lot-parts",
        "what was used, lapsed and taken back of a lot is never more than it had",
        "select case
            when lot.expired <> coalesce(gone.expired, 0) then
                format('lot:%s says that %s points lapsed and its transfers %s', lot.lot_id,
                    lot.expired, coalesce(gone.expired, 0))
            when lot.clawed <> coalesce(gone.clawed, 0) or lot.owed <> coalesce(gone.owed, 0) then
                format('lot:%s says that %s and %s points were taken back and its transfers %s and %s',
                    lot.lot_id, lot.clawed, lot.owed, coalesce(gone.clawed, 0),
                    coalesce(gone.owed, 0))
            when coalesce(gone.used, 0) < 0
                or lot.remaining + lot.expired + lot.clawed + coalesce(gone.used, 0) > lot.points then
                format('lot:%s of %s points gave %s and %s lapsed and %s were taken back and %s are left',
                    lot.lot_id, lot.points, coalesce(gone.used, 0), lot.expired, lot.clawed,
                    lot.remaining)
         end
         from lot
         left join (
            select transfer.lot_id,
                sum(transfer.amount) filter (where target.kind = 'expired') as expired,
                sum(transfer.amount) filter (
                    where source.kind = 'wallet' and target.kind = 'issued') as clawed,
                sum(transfer.amount) filter (
                    where source.kind = 'deficit' and target.kind = 'issued') as owed,
                sum(case
                    when source.kind = 'wallet' and target.kind in ('accepted', 'held', 'deficit')
                        then transfer.amount
                    when target.kind = 'wallet' and source.kind in ('accepted', 'held')
                        then -transfer.amount
                    else 0 end) as used
            from transfer
            join account as source on source.account_id = transfer.from_account
            join account as target on target.account_id = transfer.to_account
            where transfer.lot_id is not null
            group by transfer.lot_id
         ) as gone on gone.lot_id = lot.lot_id"
    ),
    question!(
        "lot-floor",
        "no account gives more of a lot than it got of it",
        "select case when sum(amount) < 0 then
            format('lot:%s went out of acc:%s by %s points more than came in', lot_id, account_id,
                -sum(amount)) end
         from (
            select transfer.lot_id, account.account_id, transfer.amount
            from transfer
            join account on account.account_id = transfer.to_account
            where account.kind in ('wallet', 'held', 'accepted', 'expired')
            union all
            select transfer.lot_id, account.account_id, -transfer.amount
            from transfer
            join account on account.account_id = transfer.from_account
            where account.kind in ('wallet', 'held', 'accepted', 'expired')
         ) as side
         group by lot_id, account_id"
    ),
    question!(
        "lot-traced",
        "every point that moves is of a lot, of that member, and goes to the books of its issuer",
        "select case
            when (transfer.lot_id is null) <> (source.unit <> 'points') then
                format('jrn:%s line %s moves %s and its lot is lot:%s', transfer.journal_id,
                    transfer.line, source.unit, transfer.lot_id)
            when transfer.lot_id is not null and lot.lot_id is null then
                format('jrn:%s line %s is of lot:%s which does not exist', transfer.journal_id,
                    transfer.line, transfer.lot_id)
            when transfer.earned_at is distinct from lot.earned_at then
                format('jrn:%s line %s is of lot:%s which was earned at another moment',
                    transfer.journal_id, transfer.line, transfer.lot_id)
            when journal.member_id is distinct from lot.member_id
                or (source.kind in ('wallet', 'held', 'deficit')
                    and source.owner_id <> lot.member_id)
                or (target.kind in ('wallet', 'held', 'deficit')
                    and target.owner_id <> lot.member_id) then
                format('jrn:%s line %s is of lot:%s which is another member''s',
                    transfer.journal_id, transfer.line, transfer.lot_id)
            when (source.kind in ('issued', 'expired') and source.owner_id <> lot.merchant_id)
                or (target.kind in ('issued', 'expired') and target.owner_id <> lot.merchant_id)
                or (source.kind = 'accepted' and source.partner_id <> lot.merchant_id)
                or (target.kind = 'accepted' and target.partner_id <> lot.merchant_id) then
                format('jrn:%s line %s is of lot:%s which another merchant issued',
                    transfer.journal_id, transfer.line, transfer.lot_id)
            when (target.kind = 'accepted' and target.owner_id <> lot.only_at)
                or (target.kind = 'deficit' and target.partner_id <> lot.only_at) then
                format('jrn:%s line %s is of lot:%s which only mer:%s takes',
                    transfer.journal_id, transfer.line, transfer.lot_id, lot.only_at)
            when (source.kind = 'accepted' and source.owner_id is distinct from journal.merchant_id)
                or (target.kind = 'accepted'
                    and target.owner_id is distinct from journal.merchant_id) then
                format('jrn:%s line %s is in another merchant''s books than it happened at',
                    transfer.journal_id, transfer.line)
         end
         from transfer
         join journal on journal.journal_id = transfer.journal_id
         join account as source on source.account_id = transfer.from_account
         join account as target on target.account_id = transfer.to_account
         left join lot on lot.lot_id = transfer.lot_id"
    ),
];
