-- ledger: points that only one merchant takes; none: whoever takes points takes them. A lot keeps what it was
-- granted with, whatever the programme says later.
alter table lot add column only_at uuid;
-- What of a member's points only some merchants take: nearly always nothing, and then nothing is in it.
create index lot_earmark_idx on lot (member_id, only_at) where remaining > 0 and only_at is not null;
