//! Fork proofs under keys that nothing binds any more: kept and shown, and nobody else can be made to believe them
//! (`specs/register.md` §7.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Replica;
use crate::limits;
use crate::register::fork::report::ForkReport;

impl Replica {
    /// Returns the fork proofs of registers that are not bound now, by origin: of those that once were, and of those that
    /// a bundle told of.
    pub fn fork_reports(&self) -> BTreeMap<&str, Arc<ForkReport>> {
        let unbound = self.registers.values().filter(|register| !self.bound.contains_key(register.origin()));
        let held = unbound.filter_map(|register| {
            let proof = register.fork_proof()?.as_ref().clone();
            let report = ForkReport::new(proof, register.keys().to_vec()).ok()?;
            Some((register.origin(), Arc::new(report)))
        });
        let told = self.told.iter().filter(|(origin, _)| !self.bound.contains_key(*origin));
        let told = told.map(|(origin, report)| (origin.as_str(), report.clone()));
        // What was checked here once, under keys that were bound, comes before what a bundle says.
        told.chain(held).collect()
    }

    /// Takes a report that holds. Of a register that is bound its proof counts like any other; of another one it is kept
    /// to be shown. False when it does not hold or brings nothing new.
    pub fn keep_report(&mut self, report: ForkReport) -> bool {
        let origin = report.origin().to_owned();
        if let Some(mut register) = self.candidate(&origin) {
            let is_new = register.add_fork_proof(report.proof().clone()) == Ok(true);
            if is_new {
                self.install(register);
            }
            return is_new;
        }
        let room = self.told.len() < limits::FORK_REPORTS_MAX && !self.told.contains_key(&origin);
        let keeps = room && report.proof().check(&origin, report.keys()).is_ok();
        if keeps {
            self.told.insert(origin, Arc::new(report));
        }
        keeps
    }
}
