//! Redemption: points pay, at the till or for a good.

mod programme;
mod returns;
mod spends;
mod store;
mod terms;

pub use programme::TermsError;
pub use returns::{GivenBack, Paid, Return, Returns, lots_to_give_back, paid_by_points};
pub use spends::{
    Limits, Receipt, SpendError, SpendItem, SpendQuestion, SpendReceipt, preview, spend,
};
pub use terms::{Explanation, Form, FormError, Quote, Terms, Wanted};

use crate::kernel::time::Zone;

/// What a mall is like, as far as spending and exchanging points goes.
#[derive(Debug, Clone)]
pub struct Setting {
    /// In which zone its days and months begin.
    pub zone: Zone,
    /// What points take off and how long a reserved good waits.
    pub terms: Terms,
}
