//! The whole policy, cell by cell: `golden/authz.txt` is what was reviewed. After a wanted change,
//! `UPDATE_GOLDEN=1` writes it anew, and the diff is what has to be reviewed.

use std::{collections::BTreeMap, fmt::Write};

use rotunda::{
    authz::{
        action::{self, Action},
        actor::{Actor, Principal, Reach, Role, Stores},
        grant::Grant,
        own::{Family, OwnRole},
        policy::{Policy, PolicyError},
    },
    kernel::ids::{MemberId, MerchantId, StoreId, TenantId},
};
use uuid::Uuid;

use crate::support::books::policy;

const GOLDEN: &str = "tests/it/golden/authz.txt";
const ROLES: &str = include_str!("../../policies/roles.csv");
const INHERITS: &str = include_str!("../../policies/inherits.csv");
const REACHES: [&str; 3] = ["mall", "merchant", "member"];

/// Role, object and act; how far.
type Matrix = BTreeMap<(String, &'static str, &'static str), &'static str>;

/// A line of `roles.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    role: String,
    action: (&'static str, &'static str),
    reach: &'static str,
}

impl Rule {
    fn line(&self) -> String {
        let (object, act) = self.action;
        format!("p, r:{}, {object}, {act}, {}", self.role, self.reach)
    }
}

fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(',').map(str::trim).collect())
}

fn rules() -> Vec<Rule> {
    fields(ROLES)
        .map(|line| Rule {
            role: line[1].strip_prefix("r:").unwrap().to_owned(),
            action: *action::ALL
                .iter()
                .find(|known| **known == (line[2], line[3]))
                .unwrap(),
            reach: REACHES.into_iter().find(|reach| *reach == line[4]).unwrap(),
        })
        .collect()
}

fn text(rules: &[Rule]) -> String {
    rules.iter().map(Rule::line).collect::<Vec<_>>().join("\n")
}

/// The role and every role whose rights it has.
fn with_parents(role: &str) -> Vec<String> {
    let mut all = vec![role.to_owned()];
    let mut next = 0;
    while let Some(child) = all.get(next).cloned() {
        let up = fields(INHERITS).filter(|line| line[1] == format!("r:{child}"));
        all.extend(up.map(|line| line[2].strip_prefix("r:").unwrap().to_owned()));
        next += 1;
    }
    all
}

/// What the rules mean, read without Casbin.
fn expected(names: &[String], rules: &[Rule]) -> Matrix {
    let mut matrix = Matrix::new();
    for role in names {
        let has = with_parents(role);
        for reach in REACHES {
            for rule in rules
                .iter()
                .filter(|rule| rule.reach == reach && has.contains(&rule.role))
            {
                let (object, act) = rule.action;
                matrix.entry((role.clone(), object, act)).or_insert(reach);
            }
        }
    }
    matrix
}

fn decided(policy: &Policy) -> Matrix {
    let mut matrix = Matrix::new();
    for role in policy.roles() {
        for &(object, act) in action::ALL {
            if let Some(reach) = policy.decide(role, object, act) {
                matrix.insert((role.to_owned(), object, act), reach);
            }
        }
    }
    matrix
}

/// How wide a reach is; nothing is wider than the mall.
fn width(reach: Option<&&str>) -> usize {
    reach.map_or(0, |reach| {
        REACHES.len() - REACHES.iter().position(|one| one == reach).unwrap()
    })
}

#[tokio::test]
async fn the_matrix_is_the_one_that_was_reviewed() {
    let policy = policy().await;
    let matrix = decided(&policy);
    let mut found = "# role: object act -> reach; what is not here is refused\n".to_owned();
    for role in policy.roles() {
        writeln!(found, "\n{role}").unwrap();
        for &(object, act) in action::ALL {
            if let Some(reach) = matrix.get(&(role.to_owned(), object, act)) {
                writeln!(found, "    {:<24}{reach}", format!("{object} {act}")).unwrap();
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert_eq!(
        found, reviewed,
        "review the change, then run with UPDATE_GOLDEN=1"
    );
}

#[tokio::test]
async fn casbin_decides_what_the_two_files_say() {
    let policy = policy().await;
    let roles: Vec<String> = policy.roles().map(str::to_owned).collect();
    assert_eq!(decided(&policy), expected(&roles, &rules()));
    assert!(!policy.knows("operator") && !policy.knows(""));
    assert_eq!(policy.decide("operator.janitor", "key", "present"), None);
}

/// AUT-5. Rules of different actions do not touch each other, as the test above shows, so that one
/// rule of each action is deleted at a time.
#[tokio::test]
async fn aut_5_every_rule_is_there_for_something() {
    let (rules, base) = (rules(), decided(&*policy().await));
    let of = |action| {
        rules
            .iter()
            .filter(move |rule: &&Rule| rule.action == action)
            .cloned()
    };
    let groups: Vec<Vec<Rule>> = action::ALL
        .iter()
        .map(|action| of(*action).collect())
        .collect();
    let most = groups.iter().map(Vec::len).max().unwrap();
    let (mut dead, mut tried) = (Vec::new(), 0);
    for place in 0..most {
        let gone = groups.iter().filter(|group| group.len() > 1);
        let gone: Vec<&Rule> = gone.filter_map(|group| group.get(place)).collect();
        let left: Vec<Rule> = rules
            .iter()
            .filter(|rule| !gone.contains(rule))
            .cloned()
            .collect();
        assert_eq!(
            left.len() + gone.len(),
            rules.len(),
            "no rule is there twice"
        );
        let matrix = decided(&Policy::parse(&text(&left), INHERITS).await.unwrap());
        for rule in gone {
            let of_it = |matrix: &Matrix| {
                let cells = matrix
                    .iter()
                    .filter(|(cell, _)| (cell.1, cell.2) == rule.action);
                cells
                    .map(|(cell, reach)| (cell.0.clone(), *reach))
                    .collect::<Vec<_>>()
            };
            if of_it(&matrix) == of_it(&base) {
                dead.push(rule.line());
            }
            tried += 1;
        }
    }
    // The only rule of an action: without it the house does not start.
    for only in groups.iter().filter(|group| group.len() == 1) {
        let left: Vec<Rule> = rules
            .iter()
            .filter(|rule| **rule != only[0])
            .cloned()
            .collect();
        let refused = Policy::parse(&text(&left), INHERITS).await.unwrap_err();
        let (object, act) = only[0].action;
        let uncovered = matches!(refused, PolicyError::Uncovered(o, a) if (o, a) == (object, act));
        let unknown_parent = matches!(refused, PolicyError::Line { .. });
        assert!(uncovered || unknown_parent, "{refused:?}");
        tried += 1;
    }
    assert_eq!(dead, Vec::<String>::new(), "rules that change nothing");
    assert_eq!(tried, rules.len());
}

/// AUT-5. Roles that inherit from each other get their additional rules one after the other.
#[tokio::test]
async fn aut_5_no_rule_can_be_added_unseen() {
    let policy = policy().await;
    let (rules, base) = (rules(), decided(&policy));
    let names: Vec<String> = policy.roles().map(str::to_owned).collect();
    let family = |role: &String| role.split('.').next().unwrap().to_owned();
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for role in &names {
        families.entry(family(role)).or_default().push(role.clone());
    }
    let most = families.values().map(Vec::len).max().unwrap();
    let (mut seen, mut covered) = (0, 0);
    for place in 0..most {
        for reach in REACHES {
            let lucky: Vec<&String> = families.values().filter_map(|all| all.get(place)).collect();
            let mut more = rules.clone();
            for role in &lucky {
                let new = action::ALL.iter().map(|action| Rule {
                    role: (*role).clone(),
                    action: *action,
                    reach,
                });
                more.extend(new.filter(|rule| !rules.contains(rule)));
            }
            let matrix = decided(&Policy::parse(&text(&more), INHERITS).await.unwrap());
            assert_eq!(matrix, expected(&names, &more));
            for role in lucky {
                for &(object, act) in action::ALL {
                    let cell = (role.clone(), object, act);
                    if width(base.get(&cell)) >= width(Some(&reach)) {
                        assert_eq!(matrix.get(&cell), base.get(&cell));
                        covered += 1;
                    } else {
                        assert_eq!(matrix.get(&cell), Some(&reach), "{cell:?}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert_eq!(
        seen + covered,
        names.len() * action::ALL.len() * REACHES.len()
    );
}

#[tokio::test]
async fn aut_6_a_policy_with_a_hole_does_not_start() {
    let all = text(&rules());
    let with = |line: &str| format!("{all}\n{line}");
    for (empty, inherits) in [("", ""), ("# nothing\n\n", INHERITS), ("", INHERITS)] {
        let refused = Policy::parse(empty, inherits).await;
        assert!(matches!(refused, Err(PolicyError::Empty)));
    }
    let bad = [
        "p, r:operator.owner, purchase, steal, mall",
        "p, r:operator.owner, treasure, read, mall",
        "p, r:operator.owner, *, *, mall",
        "p, r:operator.owner, purchase, .*, mall",
        "p, r:operator.owner, Purchase, record, mall",
        "p, r:operator.owner, purchase, record, world",
        "p, r:operator.owner, purchase, record, Mall",
        "p, r:operator.owner, purchase, record",
        "p, r:operator.owner, purchase, record, mall, deny",
        "p, r:operator.owner, purchase, record, mall, Deny",
        "p, r:operator.owner, purchase, record, mall, allow",
        "p, operator.owner, purchase, record, mall",
        "p, u:ada, purchase, record, mall",
        "p, R:operator.owner, purchase, record, mall",
        "p, r:, purchase, record, mall",
        "p, , purchase, record, mall",
        "p2, r:operator.owner, purchase, record, mall",
        "P, r:operator.owner, purchase, record, mall",
        "g, r:operator.owner, r:operator.support",
        "deny",
    ];
    for line in bad {
        let refused = Policy::parse(&with(line), INHERITS).await;
        assert!(
            matches!(refused, Err(PolicyError::Line { .. })),
            "{line}: {refused:?}"
        );
    }
    let bad = [
        "g, operator.owner, r:operator.support",
        "g, r:operator.owner, operator.support",
        "g, r:operator.owner, r:operator.janitor",
        "g, r:operator.owner, r:operator.support, extra",
        "p, r:operator.owner, purchase, record, mall",
    ];
    for line in bad {
        let refused = Policy::parse(&all, line).await;
        assert!(
            matches!(refused, Err(PolicyError::Line { .. })),
            "{line}: {refused:?}"
        );
    }
    let circles = [
        "g, r:system, r:system",
        "g, r:system, r:member\ng, r:member, r:system",
        "g, r:system, r:member\ng, r:member, r:anonymous\ng, r:anonymous, r:system",
        "g, r:a, r:system\ng, r:b, r:a\ng, r:c, r:b\ng, r:d, r:c",
    ];
    for inherits in circles {
        let refused = Policy::parse(&all, inherits).await;
        assert!(
            matches!(refused, Err(PolicyError::TooDeep(_))),
            "{inherits}: {refused:?}"
        );
    }
    let without = rules()
        .into_iter()
        .filter(|rule| rule.action != ("books", "verify"));
    let refused = Policy::parse(&text(&without.collect::<Vec<_>>()), INHERITS).await;
    assert!(matches!(
        refused,
        Err(PolicyError::Uncovered("books", "verify"))
    ));
}

/// What a principal of every role and scope gets for one action.
fn check_scopes<A: Action>(policy: &Policy) {
    let (merchant, member) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let merchant = Reach::Merchant(MerchantId::from_uuid(merchant));
    let member = Reach::Member(MemberId::from_uuid(member));
    for role in policy.roles() {
        for scope in [Reach::Mall, merchant, member] {
            let tenant = Some(TenantId::from_uuid(Uuid::from_u128(3)));
            let role_ = Role::new(role);
            let principal = Principal {
                actor: Actor::System,
                tenant,
                role: role_,
                also: Vec::new(),
                scope,
                stores: rotunda::authz::actor::Stores::All,
                own: std::sync::Arc::default(),
                whence: std::sync::Arc::default(),
            };
            let grant: Option<Grant<A>> = policy.allow(&principal).ok();
            let right = policy.decide(role, A::OBJECT, A::ACT);
            let expected = match (right, scope) {
                (Some("mall"), _)
                | (Some("merchant"), Reach::Merchant(_))
                | (Some("member"), Reach::Member(_)) => Some(scope),
                _ => None,
            };
            let what = format!("{role} {} {} {scope:?}", A::OBJECT, A::ACT);
            assert_eq!(grant.as_ref().map(Grant::reach), expected, "{what}");
            assert!(grant.is_none_or(|grant| grant.tenant() == tenant), "{what}");
        }
    }
}

/// Calls [`check_scopes`] for each of these, which have to be all there are.
macro_rules! check_all {
    ($policy:expr, $($action:ident)*) => {
        let named = [$((action::$action::OBJECT, action::$action::ACT)),*];
        assert_eq!(named, action::ALL);
        $(check_scopes::<action::$action>($policy);)*
    };
}

/// Whoever is narrowed to stores has of their role what knows of stores, in every role.
#[tokio::test]
async fn whoever_is_narrowed_to_stores_has_nothing_that_knows_of_none() {
    let policy = policy().await;
    let store = StoreId::from_uuid(Uuid::from_u128(4));
    let merchant = Reach::Merchant(MerchantId::from_uuid(Uuid::from_u128(1)));
    let wide = Principal::system(TenantId::from_uuid(Uuid::from_u128(3)));
    let wide = |role: &str| Principal {
        role: Role::new(role),
        scope: merchant,
        ..wide.clone()
    };
    for role in policy.roles().filter(|role| role.starts_with("merchant.")) {
        let narrow = Principal {
            stores: Stores::Only([store].into()),
            ..wide(role)
        };
        let record = policy.allow::<action::RecordPurchase>(&narrow).ok();
        let (wide, narrow): (Option<Grant<action::ReadMerchants>>, Option<_>) = (
            policy.allow(&wide(role)).ok(),
            policy.allow::<action::ReadMerchants>(&narrow).ok(),
        );
        let (wide, narrow) = (wide.unwrap(), narrow.unwrap());
        for &(object, act) in action::ALL {
            let has = policy.may(&wide, object, act);
            let expected = has && action::is_by_store(object, act);
            assert_eq!(
                policy.may(&narrow, object, act),
                expected,
                "{role} {object} {act}"
            );
        }
        if let Some(record) = record {
            let other = StoreId::from_uuid(Uuid::from_u128(5));
            let Reach::Merchant(own) = merchant else {
                unreachable!()
            };
            assert!(record.covers(own, store) && !record.covers(own, other));
            let foreign = MerchantId::from_uuid(Uuid::from_u128(9));
            assert!(!record.covers(foreign, store));
            // Nobody gives more stores than their own.
            let cashier = Role::new("merchant.cashier");
            let can = |stores: &Stores| policy.could_act_as(&record, &cashier, merchant, stores);
            assert_eq!(
                can(&Stores::Only([store].into())),
                role != "merchant.finance"
            );
            assert!(!can(&Stores::Only([store, other].into())));
            assert!(!can(&Stores::All));
        }
    }
}

/// AUT-5 of a mall's own roles: with any wish at all, nothing is decided beyond the reviewed roles of the
/// same people, and everything within.
#[tokio::test]
async fn aut_5_no_wish_of_a_malls_own_reaches_beyond_the_reviewed_roles() {
    let policy = policy().await;
    for (family, prefix) in [(Family::Mall, "operator."), (Family::Merchant, "merchant.")] {
        let everything = action::ALL
            .iter()
            .map(|(o, a)| ((*o).to_owned(), (*a).to_owned()));
        let strange = [("*", "*"), ("", ""), ("purchase", ".*")];
        let strange = strange.map(|(o, a)| (o.to_owned(), a.to_owned()));
        let rows = [
            OwnRole {
                code: "own.all".to_owned(),
                name: "All".to_owned(),
                family,
                rights: everything.chain(strange).collect(),
            },
            OwnRole {
                code: "own.none".to_owned(),
                name: "None".to_owned(),
                family,
                rights: Vec::new(),
            },
        ];
        let own = policy.decide_own(&rows).await.unwrap();
        let mut held = 0;
        for &(object, act) in action::ALL {
            let roles = policy.roles().filter(|role| role.starts_with(prefix));
            let mut reaches = roles.filter_map(|role| policy.decide(role, object, act));
            let reviewed = reaches.any(|reach| reach == family.reach());
            let reserved = act == "staff";
            let expected = (reviewed && !reserved).then(|| family.reach());
            assert_eq!(
                own.decide("own.all", object, act),
                expected,
                "{object} {act}"
            );
            assert_eq!(own.decide("own.none", object, act), None, "{object} {act}");
            assert_eq!(own.decide("own.other", object, act), None);
            held += usize::from(expected.is_some());
        }
        assert_eq!(held, policy.grantable(family).len());
        assert!(held > 20);
    }
}

#[tokio::test]
async fn a_merchants_principal_never_reaches_the_mall() {
    let policy = policy().await;
    check_all!(
        &policy,
        Authenticate CreateKey ReadKeys RevokeKey SignIn UseAccount UseMembership InviteStaff ReadStaff
        ManageStaff ReadRoles ManageRoles StaffMerchant StaffMall SendLinks SendCodes ManageTenants ApplyManifest CarryTenant ReadProgramme
        CreateMerchant ReadMerchants ActivateMerchant SuspendMerchant StartApplication
        UseApplication ReadApplications DecideApplications SetConditions SendNews ProposeAgreement
        AcceptAgreement ReadAgreements RecordCredit ReadCredit SetCreditLimit EvaluateCredit
        WindDown EndPoints CreateStore ReadStores
        ActivateStore SuspendStore EnrolMember ReadMembers CopyMembers EraseMembers RecordPurchase ReadPurchases
        RefundPurchase SpendPoints PostBatch ExpirePoints CreateGood ReadGoods ReserveGood ReadRedemptions
        ClaimGood CancelRedemption LapseRedemptions PreviewSettlement CloseSettlement
        ReadSettlements ReadStatements IssueSettlement ConfirmSettlement ConfirmStatement
        ProposeAdjustment DecideAdjustment ReadAdjustments RaiseDispute ReadDisputes DecideDispute RecordPayment RaiseDefault DeclareDefault ReadLiability
        VerifyBooks VerifyIsolation ReadContact SetContact ReadEarnRates SetEarnRate ReadStripeAccount SetStripeAccount FollowStripe
        ReadMessages RetryMessage SendMessages ReadAudit ExportAudit RelayJobs
    );
    for role in policy.roles().filter(|role| role.starts_with("merchant.")) {
        for &(object, act) in action::ALL {
            assert_ne!(
                policy.decide(role, object, act),
                Some("mall"),
                "{role} {object} {act}"
            );
        }
    }
}
