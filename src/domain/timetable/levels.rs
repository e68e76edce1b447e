//! Whose timetable counts: the shop's, a plan's, or an account's own.

use std::{borrow::Cow, collections::BTreeMap};

use super::{InvalidTimetable, Timetable, TimetableChanges};

/// The shop's timetable and those of its plans, each checked.
#[derive(Clone, Debug, Default)]
pub struct Timetables {
    shop: TimetableChanges,
    /// For services that are not sold any more.
    merged: Timetable,
    plans: BTreeMap<String, (TimetableChanges, Timetable)>,
}

impl Timetables {
    /// From what the shop has otherwise than the defaults, and each plan, by its service's id, otherwise than the shop.
    ///
    /// # Errors
    /// At the first timetable that cannot be, with the plan's id; `None` is the shop's.
    pub fn new<'a>(
        shop: TimetableChanges,
        plans: impl IntoIterator<Item = (&'a str, &'a TimetableChanges)>,
    ) -> Result<Self, (Option<String>, InvalidTimetable)> {
        let nothing = TimetableChanges::default();
        let merged = Timetable::merged(&shop, &nothing, &nothing).map_err(|error| (None, error))?;
        let of_plan = |(id, plan): (&str, &TimetableChanges)| {
            let merged = Timetable::merged(&shop, plan, &nothing).map_err(|error| (Some(id.to_owned()), error))?;
            Ok((id.to_owned(), (plan.clone(), merged)))
        };
        let plans = plans.into_iter().map(of_plan).collect::<Result<_, _>>()?;
        Ok(Self { shop, merged, plans })
    }

    /// The shop's own.
    #[must_use]
    pub const fn shop(&self) -> &Timetable {
        &self.merged
    }

    /// The timetable of an account of that service, which may have some of it otherwise.
    ///
    /// # Errors
    /// When what the account has otherwise does not go with the rest.
    pub fn of(&self, service_id: &str, account: &TimetableChanges) -> Result<Cow<'_, Timetable>, InvalidTimetable> {
        let plan = self.plans.get(service_id);
        if *account == TimetableChanges::default() {
            return Ok(Cow::Borrowed(plan.map_or(&self.merged, |(_, merged)| merged)));
        }
        let nothing = TimetableChanges::default();
        let changes = plan.map_or(&nothing, |(changes, _)| changes);
        Timetable::merged(&self.shop, changes, account).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspending_after(days: u32) -> TimetableChanges {
        TimetableChanges { suspend_days: Some(days), ..TimetableChanges::default() }
    }

    #[test]
    fn an_account_counts_before_its_plan_and_a_plan_before_the_shop() {
        let plan = suspending_after(10);
        let timetables = Timetables::new(suspending_after(7), [("vps-monthly", &plan)]).unwrap();
        let days = |service, account| timetables.of(service, &account).unwrap().suspend_days;

        assert_eq!(days("shared-monthly", TimetableChanges::default()), 7);
        assert_eq!(days("vps-monthly", TimetableChanges::default()), 10);
        assert_eq!(days("vps-monthly", suspending_after(12)), 12);
        assert_eq!(days("no longer sold", suspending_after(13)), 13);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_the_plan() {
        let never = TimetableChanges { told_days: Some(0), ..TimetableChanges::default() };

        let (plan, _) = Timetables::new(TimetableChanges::default(), [("vps-monthly", &never)]).unwrap_err();

        assert_eq!(plan.as_deref(), Some("vps-monthly"));
        assert!(Timetables::new(never, []).is_err_and(|(plan, _)| plan.is_none()));
    }
}
