//! That no secret leaves a driver but to its server.

use secrecy::{ExposeSecret as _, SecretString};

use super::{At, Operation};
use crate::{
    AccountRef, PanelError,
    conformance::{cases::Verdict, done, faults::Fault, logs, result, settled, spec},
};

impl At<'_> {
    /// Twenty passwords, what the driver was configured with, and the links that it was given: in no log of any level, and in
    /// no error. Servers that show a request's body in their error pages are the worst case.
    pub(super) async fn no_secret_is_logged_or_told(&self) -> Verdict {
        logs::capture();
        let mut secrets = self.server.credentials();
        let mut told = Vec::new();
        for nth in 0..10 {
            let (mut spec, new) = (spec(&format!("hts{nth}crt")), planted("new", nth));
            spec.password = planted("first", nth);
            told.push(format!("{spec:?}"));
            self.fault(
                Operation::Create,
                [Fault::Echo { status: 500 }, Fault::Truncate, Fault::Echo { status: 200 }][nth % 3].clone(),
            );
            told.extend(self.create(&spec).await.err().map(|error| chain(&error)));
            settled(self.panel, || self.panel.ensure_created(&spec)).await;
            told.extend(self.tell(&spec.account, &new, &mut secrets).await);
            secrets.extend([&spec.password, &new].map(|secret| secret.expose_secret().to_owned()));
        }

        let logged = logs::captured();
        assert!(secrets.len() >= 20, "{}", secrets.len());
        assert!(logged.contains("TRACE") || logged.contains("DEBUG"), "nothing was captured");
        for secret in &secrets {
            assert!(!logged.contains(secret), "{secret} was logged");
            assert!(!told.iter().any(|text| text.contains(secret)), "{secret} was told");
        }
        Verdict::Pass
    }

    /// Sets a password and asks for a link, with faults; gives back what was said of it.
    async fn tell(&self, account: &AccountRef, new: &SecretString, secrets: &mut Vec<String>) -> Vec<String> {
        let mut told = Vec::new();
        if self.panel.caps().passwords {
            self.fault(Operation::Password, Fault::Echo { status: 400 });
            let refused = result(self.panel, || self.panel.set_password(account, new)).await;
            told.extend(refused.err().map(|error| chain(&error)));
            done(self.panel, || self.panel.set_password(account, new)).await;
        }
        if self.panel.caps().login_url {
            let link = self.panel.login_url(account).await.unwrap();
            told.push(format!("{link:?}"));
            secrets.push(link.0.expose_secret().to_owned());
        }
        told
    }
}

fn planted(what: &str, nth: usize) -> SecretString {
    format!("Pw{nth}-{what}-Zk8vQn4tXr").into()
}

/// All that an error says, to people and to programmers.
fn chain(error: &PanelError) -> String {
    let mut text = format!("{error:?}");
    let mut layer: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = layer {
        text.push_str(&error.to_string());
        layer = error.source();
    }
    text
}
