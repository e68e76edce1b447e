//! Suspending and lifting suspensions, by the mark that tells ours from others' (see the driver's own page).

use super::{
    DirectAdminPanel,
    account::UserConf,
    calls::Param,
    marks::{Comments, Mark, word},
};
use crate::{AccountRef, PanelError};

impl DirectAdminPanel {
    pub(super) async fn suspend(&self, account: &AccountRef, reason: &str) -> Result<(), PanelError> {
        let conf = self.owned(account).await?;
        let comments = self.comments(&conf).await?;
        if conf.is_suspended() {
            return match comments.mark().filter(|mark| conf.is_suspended_by(mark)) {
                None => Ok(()),
                Some(mark) => {
                    let mark = Mark { reason: word(reason), under: mark.under, at: conf.suspend_date };
                    self.note(&conf, &comments, Some(&mark)).await
                }
            };
        }
        let mark = Mark { reason: word(reason), under: self.suspension_word.clone(), at: None };
        self.note(&conf, &comments, Some(&mark)).await?;
        let params = [
            ("location", Param::Plain("CMD_USER_SHOW")),
            ("dosuspend", Param::Plain("yes")),
            ("select0", Param::Plain(conf.username.as_str())),
            ("reason", Param::Plain(mark.under.as_str())),
        ];
        if let Err(refusal) = self.calls.change("CMD_API_SELECT_USERS", None, &params).await? {
            // A mark that waits for nothing would pass the next suspension off as ours.
            self.note(&conf, &comments.with(Some(&mark)), None).await?;
            return Err(refusal.into());
        }
        self.complete(account, mark).await
    }

    /// Reads back the suspension that was made, and writes its date into the mark.
    async fn complete(&self, account: &AccountRef, mark: Mark) -> Result<(), PanelError> {
        let conf = self.owned(account).await?;
        if !conf.is_suspended() {
            return Err(PanelError::ambiguous("DirectAdmin says that it suspended the account, which is active"));
        }
        if !conf.is_suspended_by(&mark) {
            return Err(PanelError::permanent(format!(
                "DirectAdmin holds the account suspended under {:?} instead of {:?}, so that Berth cannot tell the suspension \
                 from one that staff made: staff must lift it",
                conf.suspended_reason().unwrap_or_default(),
                mark.under
            )));
        }
        let comments = self.comments(&conf).await?;
        if comments.mark().is_none() {
            return Err(PanelError::permanent(
                "DirectAdmin did not keep the mark that tells the suspension from one that staff made: staff must lift it",
            ));
        }
        self.note(&conf, &comments, Some(&Mark { at: conf.suspend_date, ..mark })).await
    }

    pub(super) async fn activate(&self, account: &AccountRef) -> Result<(), PanelError> {
        let conf = self.owned(account).await?;
        let comments = self.comments(&conf).await?;
        if !conf.is_suspended() {
            // One that is left over would pass the next suspension off as ours.
            return self.note(&conf, &comments, None).await;
        }
        if comments.mark().is_none_or(|mark| !conf.is_suspended_by(&mark)) {
            let reason = conf.suspended_reason().unwrap_or_default();
            return Err(PanelError::permanent(format!(
                "the suspension is not Berth's, which DirectAdmin holds under {reason:?}: staff must lift it"
            )));
        }
        let params = [
            ("location", Param::Plain("CMD_USER_SHOW")),
            ("dounsuspend", Param::Plain("yes")),
            ("select0", Param::Plain(conf.username.as_str())),
        ];
        self.calls.change("CMD_API_SELECT_USERS", None, &params).await??;
        let conf = self.owned(account).await?;
        if conf.is_suspended() {
            return Err(PanelError::ambiguous("DirectAdmin says that it lifted the suspension, which holds"));
        }
        let comments = self.comments(&conf).await?;
        self.note(&conf, &comments, None).await
    }

    /// Writes the comments with this mark and no other, where they are not so already.
    async fn note(&self, conf: &UserConf, comments: &Comments, mark: Option<&Mark>) -> Result<(), PanelError> {
        let noted = comments.with(mark);
        if noted.mark() == comments.mark() {
            return Ok(());
        }
        let params = [
            ("location", Param::Plain("CMD_USER_SHOW")),
            ("user", Param::Plain(conf.username.as_str())),
            ("comments", Param::Plain(noted.0.as_str())),
        ];
        Ok(self.calls.change("CMD_COMMENTS", None, &params).await??)
    }
}
