//! An action that the list of all actions does not hold: what makes one is out of reach.

use rotunda::authz::action::sealed::Sealed;

enum Rob {}

impl Sealed for Rob {}

fn main() {}
