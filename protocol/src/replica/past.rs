//! Old registers that bindings name with `after`: which are needed, and where each stands (`specs/register.md` §13).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Replica;
use crate::digest::Digest;
use crate::limits;
use crate::register::fact::After;
use crate::register::past::PastError;
use crate::register::state::Register;

impl Replica {
    /// Returns the old register of this point: the one that was replicated while it was bound, else what was fetched.
    pub fn past(&self, after: &After) -> Option<&Arc<Register>> {
        let held = self.registers.get(&after.origin).filter(|register| register.reaches(after));
        held.or_else(|| self.pasts.get(after))
    }

    /// Returns the points that bindings name now.
    pub fn afters(&self) -> &BTreeSet<After> {
        &self.afters
    }

    /// Visits the points that bindings name and of which no register is held.
    pub fn pasts_missing(&self) -> impl Iterator<Item = &After> {
        self.afters.iter().filter(|after| self.past(after).is_none())
    }

    /// Takes an old register made by [`Register::up_to`]; false when nothing names the point, or one is held.
    pub fn keep_past(&mut self, after: &After, register: Arc<Register>) -> bool {
        let wanted = self.afters.contains(after) && self.past(after).is_none() && register.reaches(after);
        if wanted {
            self.pasts.insert(after.clone(), register);
        }
        wanted
    }

    /// Checks entries against the point, and takes them as [`Replica::keep_past`] does.
    pub fn offer_past(&mut self, after: &After, entries: &[bytes::Bytes]) -> Result<bool, PastError> {
        let register = Register::up_to(after, entries, self.witnessing.clone())?;
        Ok(self.keep_past(after, Arc::new(register)))
    }

    /// Returns the digests of the bodies that facts can need, of registers and of old registers.
    pub fn bodies_needed(&self) -> BTreeSet<Digest> {
        let registers = self.registers.values().flat_map(|register| register.bodies_needed());
        registers.chain(self.bodies_of_pasts()).collect()
    }

    pub(crate) fn bodies_of_pasts(&self) -> impl Iterator<Item = Digest> {
        self.afters.iter().filter_map(|after| Some((after, self.past(after)?))).flat_map(|(a, r)| r.lists_at(a))
    }

    /// Takes the points that bindings name now, and lets go of what no binding names any more.
    pub(super) fn take_afters(&mut self, afters: BTreeSet<After>) {
        let new: Vec<&After> = afters.difference(&self.afters).collect();
        for after in new {
            if let Some(register) = self.registers.get_mut(&after.origin)
                && register.reaches(after)
            {
                // Facts are read at that size from now on.
                Arc::make_mut(register).pin(after.size);
            }
        }
        self.pasts.retain(|after, _| afters.contains(after));
        self.afters = afters;
    }
}

/// Adds the point of one more binding, as long as there is room.
pub(super) fn add(afters: &mut BTreeSet<After>, after: Option<&After>) {
    if let Some(after) = after
        && afters.len() < limits::PASTS_MAX
    {
        afters.insert(after.clone());
    }
}
