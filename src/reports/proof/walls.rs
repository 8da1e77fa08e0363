//! What must hold between this mall and the others, and between its role and its own past.

use super::{Question, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "wall-schemas",
        "this mall's role can look into no other mall",
        "select case when has_schema_privilege(current_user, oid, 'usage')
            or has_schema_privilege(current_user, oid, 'create') then
            format('the schema %s is open to the role of this mall', nspname) end
         from pg_catalog.pg_namespace
         where nspname ~ '^t_[0-9a-z]{26}$' and nspname <> current_schema()"
    ),
    question!(
        "wall-role",
        "this mall's role is nobody else, owns nothing and cannot sign in",
        "select case
            when rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin then
                format('the role %s has a right of administrators', rolname)
            when exists (select from pg_catalog.pg_auth_members where member = pg_roles.oid) then
                format('the role %s is a member of another role', rolname)
            when exists (select from pg_catalog.pg_class where relowner = pg_roles.oid) then
                format('the role %s owns a table', rolname)
         end
         from pg_catalog.pg_roles
         where rolname = current_user"
    ),
    question!(
        "append-only",
        "what was written once cannot be changed, and nothing of the books can be deleted",
        "select case
            when has_table_privilege(current_user, pg_class.oid, 'truncate')
                or (has_table_privilege(current_user, pg_class.oid, 'delete')
                    and relname not in ('good_offer', 'merchant_contact', 'member_session',
                                        'outbox', 'recovery_code', 'sign_in_code',
                                        'signin_attempt')) then
                format('the role of this mall may delete from %s', relname)
            when relname in ('programme', 'account', 'journal', 'transfer', 'refund', 'adjustment',
                    'credit_entry', 'prepaid_use', 'payment_cover', 'stripe_event',
                    'audit_entry', 'audit_seal')
                and has_any_column_privilege(current_user, pg_class.oid, 'update') then
                format('the role of this mall may change %s', relname)
            when exists (select from pg_catalog.pg_attribute
                where attrelid = pg_class.oid and attnum > 0 and not attisdropped
                    and (relname = 'statement'
                            and attname not in ('state', 'confirmed_at', 'confirmed_by')
                        or relname = 'payment'
                            and attname in ('settlement_id', 'line', 'from_merchant',
                                'to_merchant', 'amount'))
                    and has_column_privilege(current_user, pg_class.oid, attnum, 'update')) then
                format('the role of this mall may change figures of %s', relname)
         end
         from pg_catalog.pg_class
         join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
         where nspname = current_schema() and relkind in ('r', 'p')"
    ),
];
