//! The timetable: when an account is invoiced, reminded, charged, suspended and removed, and what of it is due.
//!
//! All days count from D, the end of what is paid for, as days of 24 hours.

mod due;
mod facts;
mod levels;
mod next_charge;
mod notice;
mod rules;

use serde::{Deserialize, Serialize};

pub use due::{Due, LONGEST_LOOK, Step, backup_kept_until, card_expiring, due, next_look, outdated};
pub use facts::{AccountFacts, CardFacts, LastCharge, RenewalFacts, Told};
pub use levels::Timetables;
pub use next_charge::next_charge;
pub use notice::{Notice, UnknownNotice};
pub use rules::InvalidTimetable;

macro_rules! timetable {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
        /// When what happens to an account.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Timetable {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Timetable {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// What a shop, a plan or an account has otherwise. What is not said is as the level above it has it.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct TimetableChanges {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$type>,)*
        }

        impl Timetable {
            fn changed(self, changes: &TimetableChanges) -> Self {
                Self { $($name: changes.$name.clone().unwrap_or(self.$name),)* }
            }
        }
    };
}

timetable! {
    /// An annual renewal is announced, with its price, so many days before D; 0: never.
    heads_up_days: u32 = 30;
    /// An annual renewal is invoiced so many days before D.
    issue_days_annual: u32 = 14;
    /// A monthly renewal is invoiced so many days before D.
    issue_days_monthly: u32 = 7;
    /// Who has not paid is reminded so many days before D, the earliest first. Whose card is charged on that day is told what
    /// came of that instead.
    reminder_days: Vec<u32> = vec![3];
    /// Whether who has not paid is told on D, likewise.
    due_day_notice: bool = true;
    /// The saved card is charged on these days after D (before it, where negative); later ones only while the bank declines
    /// softly.
    charge_days: Vec<i32> = vec![-3, -1, 0, 2, 4];
    /// An invoice that is older is never charged by itself: somebody switched something on.
    charge_within_days: u32 = 30;
    /// An account is in grace so many hours after D.
    grace_hours: u32 = 24;
    /// Who has not paid is told so many days after D.
    overdue_days: Vec<u32> = vec![1, 3];
    /// An unpaid account is suspended so many days after D; 0: never.
    suspend_days: u32 = 5;
    /// The last warning comes so many hours before the suspension, and must have been delivered so long before it.
    final_warning_hours: u32 = 24;
    /// Nobody is suspended whose invoice (or notice that the account expires) was not delivered so many days before.
    told_days: u32 = 3;
    /// A suspended account is warned so many days after D.
    termination_warning_days: Vec<u32> = vec![14, 27];
    /// The last of these warnings must have been delivered so many days before the end.
    final_notice_days: u32 = 3;
    /// A suspended account is removed so many days after D; 0: never.
    terminate_days: u32 = 30;
    /// The backup and the secrets of an account are deleted so many days after D, if it was removed in time: as long after
    /// its removal as that says.
    purge_days: u32 = 60;
    /// Who has a card that expires is told so many days before the end of its last month, the earliest first.
    card_expiry_days: Vec<u32> = vec![14, 3];
}

impl Timetable {
    /// The timetable of an account: the defaults, as the shop, the plan and the account have them otherwise.
    ///
    /// # Errors
    /// When its steps are in an order that cannot be, in words.
    pub fn merged(
        shop: &TimetableChanges,
        plan: &TimetableChanges,
        account: &TimetableChanges,
    ) -> Result<Self, InvalidTimetable> {
        let merged = Self::default().changed(shop).changed(plan).changed(account);
        rules::check(&merged)?;
        Ok(merged)
    }
}

/// The times that are the shop's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShopTimes {
    /// An order that nobody has paid ends after so many hours.
    pub unpaid_order_hours: u32,
    /// What Stripe knows of a payment is asked for when it has said nothing for so many minutes.
    pub silent_intent_minutes: u32,
    /// Mails that were sent are kept so many days.
    pub mail_days: u32,
    /// The bodies of Stripe's events are kept so many days.
    pub event_body_days: u32,
}

impl Default for ShopTimes {
    fn default() -> Self {
        Self { unpaid_order_hours: 24, silent_intent_minutes: 15, mail_days: 90, event_body_days: 90 }
    }
}

#[cfg(test)]
mod tests;
