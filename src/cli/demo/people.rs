//! Five hundred people who do not exist.

use super::dice::Dice;
use crate::kernel::text::{CardNumber, Name, Phone, TextError};

/// How many members the demo mall has.
pub(super) const PEOPLE: usize = 500;

/// Somebody who becomes a member.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: Name,
    pub(super) phone: Option<Phone>,
    pub(super) card: Option<CardNumber>,
    /// What a file without telephone numbers calls this person.
    pub(super) reference: CardNumber,
    /// How often this person comes, against the others.
    pub(super) comes: u64,
    /// On which of the mall's days, counted from the first, this person becomes a member.
    pub(super) joins: u64,
}

const FAMILY: [&str; 48] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林",
    "何", "郭", "马", "罗", "梁", "宋", "郑", "谢", "韩", "唐", "冯", "于", "董", "萧", "程", "曹",
    "袁", "邓", "许", "傅", "沈", "曾", "彭", "吕", "苏", "卢", "蒋", "蔡", "贾", "丁", "魏", "薛",
];
const GIVEN: [&str; 60] = [
    "静怡", "子轩", "思远", "雨桐", "浩然", "梓涵", "欣妍", "宇航", "佳琪", "文博", "晓彤", "嘉豪",
    "雅婷", "俊杰", "若曦", "天佑", "诗涵", "明轩", "可欣", "志强", "美玲", "建国", "秀英", "丽娜",
    "海燕", "国栋", "春梅", "永康", "慧敏", "立新", "婉清", "一诺", "梦瑶", "睿", "洋", "敏", "磊",
    "倩", "涛", "颖", "超", "婷", "鑫", "洁", "勇", "霞", "凯", "琳", "晨", "悦", "峰", "雪",
    "安琪", "书瑶", "泽宇", "乐天", "青禾", "知微", "望舒", "云帆",
];
const FAMILY_TRADITIONAL: [&str; 16] = [
    "陳", "黃", "張", "劉", "楊", "趙", "吳", "許", "鄭", "謝", "葉", "蘇", "盧", "蔣", "羅", "賴",
];
const GIVEN_TRADITIONAL: [&str; 20] = [
    "怡君", "冠宇", "雅筑", "承恩", "詩涵", "宗翰", "淑芬", "俊傑", "佩珊", "志豪", "曉雯", "柏翰",
    "靜宜", "家豪", "欣怡", "偉倫", "美惠", "子軒", "麗華", "建宏",
];
const FIRST: [&str; 30] = [
    "Grace", "Daniel", "Olivia", "Marcus", "Hannah", "Victor", "Elena", "Thomas", "Amara",
    "Julian", "Priya", "Samuel", "Ingrid", "Leo", "Naomi", "Felix", "Sofia", "Adrian", "Mei",
    "Oscar", "Clara", "Ravi", "Yuki", "Peter", "Alice", "Noah", "Fatima", "Hugo", "Linh", "Emma",
];
const LAST: [&str; 30] = [
    "Lin", "Novak", "Okafor", "Bennett", "Silva", "Tanaka", "Weber", "Iyer", "Moreau", "Chan",
    "Larsen", "Rossi", "Park", "Hughes", "Costa", "Nguyen", "Keller", "Sato", "Osei", "Murray",
    "Lim", "Fischer", "Duarte", "Wong", "Petrov", "Haddad", "Kowalski", "Evans", "Ito", "Tan",
];

/// How often people come, per month, and how many of a thousand come so often: a few daily, many
/// twice.
const HABITS: [(u64, u64); 5] = [(28, 40), (14, 110), (8, 200), (4, 300), (2, 350)];

/// Of a thousand people, those who are members when the history begins.
const FROM_THE_START: u64 = 620;

/// The people of the demo mall, whose history has so many days.
///
/// # Errors
/// [`TextError`]: never, with the names above.
pub(super) fn people(dice: &Dice, days: u64) -> Result<Vec<Person>, TextError> {
    (0..PEOPLE).map(|place| person(dice, place, days)).collect()
}

fn person(dice: &Dice, place: usize, days: u64) -> Result<Person, TextError> {
    let number = place.saturating_add(1);
    // No operator of mainland China has been given the prefix 160.
    let phone = Phone::parse(&format!("1600000{number:04}"), "86")?;
    let reference: CardNumber = format!("GP-{number:06}").parse()?;
    let name: Name = name(dice).parse()?;
    let has_card = dice.chance(450);
    let has_phone = !has_card || dice.chance(880);
    let from_the_start = dice.chance(FROM_THE_START);
    let later = dice.below(days.saturating_sub(2));
    let habit = dice.below(1000);
    let first = place == 0;
    Ok(Person {
        name,
        phone: (has_phone || first).then_some(phone),
        card: (has_card || first).then(|| reference.clone()),
        reference,
        // The first one is whom the printed calls are about: somebody with a balance.
        comes: if first { 28 } else { habit_of(habit) },
        joins: if from_the_start || first { 0 } else { later },
    })
}

fn habit_of(mut ticket: u64) -> u64 {
    for (comes, of_a_thousand) in HABITS {
        if ticket < of_a_thousand {
            return comes;
        }
        ticket = ticket.saturating_sub(of_a_thousand);
    }
    2
}

fn name(dice: &Dice) -> String {
    let one = |list: &[&'static str]| dice.of(list).copied().unwrap_or_default();
    match dice.below(100) {
        0..70 => format!("{}{}", one(&FAMILY), one(&GIVEN)),
        70..80 => format!("{}{}", one(&FAMILY_TRADITIONAL), one(&GIVEN_TRADITIONAL)),
        _ => format!("{} {}", one(&FIRST), one(&LAST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_number_and_some_have_a_card() {
        let people = people(&Dice::new(1), 100).unwrap();
        assert_eq!(people.len(), PEOPLE);
        assert!(
            people
                .iter()
                .all(|one| one.phone.is_some() || one.card.is_some())
        );
        let cards = people.iter().filter(|one| one.card.is_some()).count();
        assert!((150..300).contains(&cards), "{cards}");
        assert!(people.iter().all(|one| one.joins < 98));
    }
}
