-- ledger: when the points of a transfer were earned, as their lot says it: that tells by which terms
-- they settle, and a month is counted without a look at lots of all the months before it.
alter table transfer add column earned_at timestamptz;
update transfer
set earned_at = lot.earned_at
from lot
where lot.lot_id = transfer.lot_id;
alter table transfer add constraint transfer_earned_check
    check ((lot_id is null) = (earned_at is null));
