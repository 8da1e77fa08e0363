//! Members: enrolled once, found by their numbers, and shown as far as the reader may see.

use rotunda::{
    authz::{
        action::{EnrolMember, ReadMembers},
        actor::Reach,
    },
    kernel::{
        ids::MerchantId,
        text::{CardNumber, Phone},
    },
    members::{self, Enrolment, Lookup, MemberError},
};

use crate::support::{Mall, name};

fn phone() -> Phone {
    Phone::parse("138 0000 0271", "86").unwrap()
}

fn card(text: &str) -> CardNumber {
    text.parse().unwrap()
}

fn ada() -> Enrolment {
    Enrolment {
        phone: Some(phone()),
        card_number: Some(card("A-1")),
        name: Some(name("Ada")),
    }
}

#[tokio::test]
async fn a_number_is_one_members_and_the_transaction_goes_on() {
    let mall = Mall::open().await;
    let enrols = mall.vendor::<EnrolMember>();
    let mut tx = mall.app.db.write(&enrols).await.unwrap();
    let member = members::enrol(&mut tx, &enrols, ada()).await.unwrap();

    let by_phone = Enrolment {
        card_number: None,
        ..ada()
    };
    let by_card = Enrolment {
        phone: Some(Phone::parse("139 0000 0000", "86").unwrap()),
        ..ada()
    };
    for taken in [ada(), by_phone, by_card] {
        let refused = members::enrol(&mut tx, &enrols, taken).await.unwrap_err();
        assert!(matches!(refused, MemberError::AlreadyMember(Some(id)) if id == member.id));
        let said = format!("{refused} {refused:?}");
        assert!(!said.contains("0271") && !said.contains("A-1"), "{said}");
    }
    let nobody = members::enrol(&mut tx, &enrols, Enrolment::default()).await;
    assert!(matches!(nobody, Err(MemberError::NoNumber)));
    tx.commit().await.unwrap();
    assert_eq!(
        (mall.count("member").await, mall.count("wallet").await),
        (1, 1)
    );
}

#[tokio::test]
async fn a_phone_is_whole_for_the_mall_masked_for_a_merchant_and_ones_own() {
    let mall = Mall::open().await;
    let enrols = mall.vendor::<EnrolMember>();
    let mut tx = mall.app.db.write(&enrols).await.unwrap();
    let merchant: MerchantId = tx.new_id();
    let till = mall.grant::<EnrolMember>("merchant.cashier", Reach::Merchant(merchant));
    let member = members::enrol(&mut tx, &till, ada()).await.unwrap();
    let other = Enrolment {
        card_number: Some(card("B-2")),
        ..Enrolment::default()
    };
    let other = members::enrol(&mut tx, &enrols, other).await.unwrap();

    let (whole, masked) = ("+8613800000271", "+86138****0271");
    assert_eq!(member.phone.unwrap().to_string(), masked);
    let own = Reach::Member(member.id);
    for (role, reach, expected) in [
        ("operator.support", Reach::Mall, whole),
        ("merchant.cashier", Reach::Merchant(merchant), masked),
        ("member", own, whole),
    ] {
        let reads = mall.grant::<ReadMembers>(role, reach);
        let by_phone = Lookup::Phone(phone());
        let found = members::find(&mut tx, &reads, &by_phone).await.unwrap();
        let shown = found.phone.clone().unwrap();
        assert_eq!(shown.to_string(), expected, "{role}");
        assert!(
            !format!("{shown:?}").contains("138000"),
            "a log line never has it"
        );
        assert_eq!(
            members::get(&mut tx, &reads, member.id).await.unwrap(),
            found
        );
    }

    let reads = mall.grant::<ReadMembers>("member", own);
    let foreign = members::get(&mut tx, &reads, other.id).await;
    assert!(matches!(foreign, Err(MemberError::UnknownMember)));
    let by_card = Lookup::Card(card("B-2"));
    let foreign = members::find(&mut tx, &reads, &by_card).await;
    assert!(matches!(foreign, Err(MemberError::UnknownMember)));
}

#[tokio::test]
async fn cards_are_enrolled_as_one_set_and_once() {
    let mall = Mall::open().await;
    let enrols = mall.vendor::<EnrolMember>();
    let mut tx = mall.app.db.write(&enrols).await.unwrap();
    let ada = members::enrol(&mut tx, &enrols, ada()).await.unwrap();

    let cards = ["C-3", "A-1", "B-2", "C-3"].map(card);
    let all = members::enrol_cards(&mut tx, &enrols, &cards)
        .await
        .unwrap();
    assert_eq!((all.len(), all[&card("A-1")]), (3, ada.id));
    let again = members::enrol_cards(&mut tx, &enrols, &cards)
        .await
        .unwrap();
    assert_eq!(again, all);

    let asked = ["B-2", "D-4"].map(card);
    let known = members::by_cards(&mut tx, &asked).await.unwrap();
    assert_eq!(known.len(), 1);
    let known = members::by_phones(&mut tx, &[phone()]).await.unwrap();
    assert_eq!(known[&phone()], ada.id);
    tx.commit().await.unwrap();
    assert_eq!(
        (mall.count("member").await, mall.count("wallet").await),
        (3, 3)
    );
}

#[tokio::test]
async fn two_imports_that_meet_the_same_cards_agree() {
    let mall = Mall::open().await;
    let enrols = mall.vendor::<EnrolMember>();
    let cards: Vec<CardNumber> = (0..200)
        .map(|number| card(&format!("N-{number}")))
        .collect();
    let reversed: Vec<CardNumber> = cards.iter().rev().cloned().collect();
    let import = async |cards: &[CardNumber]| {
        let mut tx = mall.app.db.write(&enrols).await.unwrap();
        let all = members::enrol_cards(&mut tx, &enrols, cards).await.unwrap();
        tx.commit().await.unwrap();
        all
    };
    let (one, two) = tokio::join!(import(&cards), import(&reversed));
    assert_eq!(one, two);
    assert_eq!(
        (mall.count("member").await, mall.count("wallet").await),
        (200, 200)
    );
}
