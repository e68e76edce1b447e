//! The templates' sources: the built-in ones, and those that an operator put in their place.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

/// More than any mail that arrives whole: Gmail cuts HTML at about 100 kB.
const MAX_TEMPLATE_BYTES: u64 = 256 * 1024;

macro_rules! built_in {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!("../../config/mail/", $file)))),*]
    };
}

const BUILT_IN: [(&str, &str); 77] = built_in![
    "account_expiring.mjml.j2",
    "account_expiring.subject.j2",
    "account_expiring.txt.j2",
    "account_suspended.mjml.j2",
    "account_suspended.subject.j2",
    "account_suspended.txt.j2",
    "account_terminated.mjml.j2",
    "account_terminated.subject.j2",
    "account_terminated.txt.j2",
    "account_unsuspended.mjml.j2",
    "account_unsuspended.subject.j2",
    "account_unsuspended.txt.j2",
    "cancellation_confirmed.mjml.j2",
    "cancellation_confirmed.subject.j2",
    "cancellation_confirmed.txt.j2",
    "cancellation_undone.mjml.j2",
    "cancellation_undone.subject.j2",
    "cancellation_undone.txt.j2",
    "card_expiring.mjml.j2",
    "card_expiring.subject.j2",
    "card_expiring.txt.j2",
    "change_not_made.mjml.j2",
    "change_not_made.subject.j2",
    "change_not_made.txt.j2",
    "digest.mjml.j2",
    "digest.subject.j2",
    "digest.txt.j2",
    "dispute_opened.mjml.j2",
    "dispute_opened.subject.j2",
    "dispute_opened.txt.j2",
    "footer.mjml.j2",
    "head.mjml.j2",
    "order_confirmation.mjml.j2",
    "order_confirmation.subject.j2",
    "order_confirmation.txt.j2",
    "package_changed.mjml.j2",
    "package_changed.subject.j2",
    "package_changed.txt.j2",
    "password_changed.mjml.j2",
    "password_changed.subject.j2",
    "password_changed.txt.j2",
    "payment_confirmation_needed.mjml.j2",
    "payment_confirmation_needed.subject.j2",
    "payment_confirmation_needed.txt.j2",
    "payment_failed.mjml.j2",
    "payment_failed.subject.j2",
    "payment_failed.txt.j2",
    "refund_issued.mjml.j2",
    "refund_issued.subject.j2",
    "refund_issued.txt.j2",
    "renewal_announced.mjml.j2",
    "renewal_announced.subject.j2",
    "renewal_announced.txt.j2",
    "renewal_due_today.mjml.j2",
    "renewal_due_today.subject.j2",
    "renewal_due_today.txt.j2",
    "renewal_invoice.mjml.j2",
    "renewal_invoice.subject.j2",
    "renewal_invoice.txt.j2",
    "renewal_overdue.mjml.j2",
    "renewal_overdue.subject.j2",
    "renewal_overdue.txt.j2",
    "renewal_receipt.mjml.j2",
    "renewal_receipt.subject.j2",
    "renewal_receipt.txt.j2",
    "renewal_reminder.mjml.j2",
    "renewal_reminder.subject.j2",
    "renewal_reminder.txt.j2",
    "suspension_warning.mjml.j2",
    "suspension_warning.subject.j2",
    "suspension_warning.txt.j2",
    "termination_warning.mjml.j2",
    "termination_warning.subject.j2",
    "termination_warning.txt.j2",
    "welcome.mjml.j2",
    "welcome.subject.j2",
    "welcome.txt.j2",
];

/// The parts of MJML that pages share, by `<mj-include path="…" />`.
pub(super) const PARTS: [&str; 2] = ["footer.mjml.j2", "head.mjml.j2"];

/// Why a template cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The file's name, or the directory's path.
    pub file: String,
    /// Counted from 1, where it is known.
    pub line: Option<usize>,
    pub reason: String,
}

impl TemplateError {
    pub(super) fn new(file: &str, line: Option<usize>, reason: impl fmt::Display) -> Self {
        Self { file: file.into(), line, reason: reason.to_string() }
    }

    pub(super) fn jinja(file: &str, error: &minijinja::Error) -> Self {
        let reason =
            error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        Self::new(file, error.line(), reason)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "mail template {}, line {line}: {}", self.file, self.reason),
            None => write!(f, "mail template {}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for TemplateError {}

/// Every template's source by file name.
pub(super) struct Sources(BTreeMap<&'static str, String>);

impl Sources {
    /// The built-in templates, each replaced by the file of the same name in `dir` where there is one.
    pub(super) fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        let mut sources: BTreeMap<_, _> = BUILT_IN.map(|(file, source)| (file, source.to_owned())).into();
        if let Some(dir) = dir {
            refuse_strangers(dir)?;
            for (file, source) in &mut sources {
                if let Some(own) = read(&dir.join(file), file)? {
                    *source = own;
                }
            }
        }
        Ok(Self(sources))
    }

    pub(super) fn get(&self, file: &str) -> Result<&str, TemplateError> {
        self.0.get(file).map(String::as_str).ok_or_else(|| TemplateError::new(file, None, "there is no such template"))
    }
}

/// A misspelt file name would leave the built-in template in use without a word.
fn refuse_strangers(dir: &Path) -> Result<(), TemplateError> {
    let failed = |error: io::Error| TemplateError::new(&dir.display().to_string(), None, error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        let file = file.to_string_lossy();
        if file.ends_with(".j2") && !BUILT_IN.iter().any(|(known, _)| *known == file) {
            let known = BUILT_IN.map(|(known, _)| known).join(", ");
            return Err(TemplateError::new(&file, None, format!("no mail uses this file; the names are {known}")));
        }
    }
    Ok(())
}

fn read(path: &Path, file: &str) -> Result<Option<String>, TemplateError> {
    let failed = |error: io::Error| TemplateError::new(file, None, error);
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_TEMPLATE_BYTES => {
            Err(TemplateError::new(file, None, format!("larger than {MAX_TEMPLATE_BYTES} bytes")))
        }
        Ok(_) => fs::read_to_string(path).map(Some).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
