//! What was learnt outside.

use berth_jobs::ids::{AccountId, CustomerId, MailId};
use jiff::Timestamp;

use super::{CardsNews, ChargeNews, DisputeNews, RefundNews, SessionNews};

/// Something learnt outside.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Stripe knows the customer under this id.
    CustomerKnown {
        /// Our customer.
        customer_id: CustomerId,
        /// Stripe's id.
        stripe_customer_id: String,
    },
    /// How a page to pay on stands.
    Session(SessionNews),
    /// How a charge of a saved card stands.
    Charge(ChargeNews),
    /// How a refund stands.
    Refund(RefundNews),
    /// How a dispute stands.
    Dispute(DisputeNews),
    /// Which cards a customer has saved.
    CardsKnown(CardsNews),
    /// The panel says that the account exists.
    AccountCreated {
        /// Which.
        account_id: AccountId,
        /// The panel's own id.
        remote_id: Option<String>,
        /// Where its site answers.
        site_url: Option<String>,
        /// Where its control panel is.
        control_panel_url: Option<String>,
        /// Which name servers its domains use.
        nameservers: Vec<String>,
    },
    /// A backup of the account is about to be made under that name.
    BackupNamed {
        /// Which.
        account_id: AccountId,
        /// The backup's name.
        reference: String,
    },
    /// A server could not be talked to, or nobody knows what it did.
    ServerFailed {
        /// Its name in the configuration.
        server: String,
        /// What was the matter.
        why: String,
        /// Only a person can mend it: it is left alone at once.
        for_good: bool,
    },
    /// A server has said that it can hold no more accounts.
    ServerFull {
        /// Its name in the configuration.
        server: String,
    },
    /// A server that had failed has answered.
    ServerAnswered {
        /// Its name in the configuration.
        server: String,
    },
    /// A mail is about to be handed to the mail server.
    MailAttempted {
        /// Which.
        mail_id: MailId,
        /// When.
        at: Timestamp,
    },
    /// The mail server has taken a mail.
    MailAccepted {
        /// Which.
        mail_id: MailId,
        /// When.
        at: Timestamp,
        /// What the server said.
        response: String,
    },
    /// The mail server will never take a mail.
    MailRefused {
        /// Which.
        mail_id: MailId,
        /// When.
        at: Timestamp,
        /// What the server said.
        response: String,
    },
}
