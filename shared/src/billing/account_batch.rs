//! Many accounts in one request: one answer each, in the order of the request. What is wrong with
//! one spoils no other.

use serde_json::Value;

use crate::billing::account::{Account, AccountChange, GivenVersion, NewAccount, change_item};
use crate::http::input::{Invalid, Reader};
use crate::http::problem::{FieldError, Problem};
use crate::ids::{BillingAccountId, RANDOM_BYTES};

/// Most accounts of one request.
pub const MAX_ITEMS: usize = 1_000;

/// Most bytes of such a request: 2 KiB for each account, of which most have a tenth.
pub const MAX_BATCH_BYTES: usize = MAX_ITEMS * 2 * 1_024;

/// An account to change.
#[shared::body]
pub struct AccountUpdate {
    /// The account.
    pub id: BillingAccountId,
    /// The version that it must have; any when absent.
    pub version: Option<GivenVersion>,
    /// What becomes of it.
    pub change: AccountChange,
}

/// What is to become of one account: one of the two.
#[shared::body(check)]
pub struct AccountItem {
    /// An account to make.
    pub create: Option<NewAccount>,
    /// An account to change.
    pub update: Option<AccountUpdate>,
}

impl AccountItem {
    fn check(&self, reader: &mut Reader) {
        match (&self.create, &self.update) {
            (None, None) => {
                let message = "is required, or else update";
                reader.refuse_member("create", Invalid::new("required", message));
            }
            (Some(_), Some(_)) => {
                let message = "must be absent where an account is made";
                reader.refuse_member("update", Invalid::new("conflict", message));
            }
            _ => {}
        }
    }

    /// What the database is to do, and the account that it changes. The clock in milliseconds
    /// since 1970 and random bytes make the id of a new one.
    pub fn into_written(
        self,
        unix_millis: u64,
        random: &[u8; RANDOM_BYTES],
    ) -> (Value, Option<BillingAccountId>) {
        match (self.create, self.update) {
            (_, Some(update)) => {
                let version = update.version.map(|version| version.0);
                let item = change_item(update.id, version, update.change);
                (item, Some(update.id))
            }
            (Some(new), None) => {
                let id = new.draw_id(unix_millis, random);
                (new.into_item(id), None)
            }
            (None, None) => (Value::Null, None),
        }
    }
}

/// Why an account was not written: a problem document without what belongs to a response.
#[shared::answer]
pub struct ItemProblem {
    /// Stable, for programs.
    pub code: &'static str,
    /// The same for every occurrence of the code.
    pub title: &'static str,
    /// What happened this time.
    pub detail: String,
    /// The fields that were wrong; none when it was something else.
    pub errors: Vec<FieldError>,
}

impl From<Problem> for ItemProblem {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.code,
            title: problem.title,
            detail: problem.detail.into_owned(),
            errors: problem.errors,
        }
    }
}

/// What became of one account.
#[derive(Debug)]
pub enum Outcome {
    /// It was made.
    Created(Box<Account>),
    /// It is as it was to be.
    Changed(Box<Account>),
    /// Nothing was changed.
    Refused(Problem),
}

impl Outcome {
    /// The status that a request of its own would have had, the account, and the problem.
    pub fn into_parts(self) -> (u16, Option<Account>, Option<ItemProblem>) {
        match self {
            Self::Created(account) => (201, Some(*account), None),
            Self::Changed(account) => (200, Some(*account), None),
            Self::Refused(problem) => (problem.status, None, Some(problem.into())),
        }
    }
}

#[cfg(feature = "spin")]
pub use write::write;

#[cfg(feature = "spin")]
mod write {
    use serde::Deserialize;
    use serde_json::Value;

    use super::{AccountItem, Outcome};
    use crate::billing::account::{self, Account};
    use crate::http::context::Context;
    use crate::http::problem::Problem;
    use crate::store::cache;
    use crate::store::cache_key::Scope;
    use crate::store::db::{self, Refused};
    use crate::token::TokenDigest;

    /// What the database answers to one item.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Refused(Refused),
        Done { is_new: bool, account: Box<Account> },
    }

    #[derive(Deserialize)]
    struct AllWritten {
        items: Vec<Written>,
    }

    /// Writes what can be read, with one statement. The outcomes are in the order of the items.
    ///
    /// # Errors
    /// Those of the token, and those of [`db::call`].
    pub async fn write(
        context: &Context,
        digest: TokenDigest,
        items: Vec<Result<AccountItem, Problem>>,
    ) -> Result<Vec<Outcome>, Problem> {
        let mut wanted = Vec::new();
        let mut scopes = Vec::new();
        let mut refusals = Vec::new();
        for item in items {
            let refusal = match item {
                Ok(item) => {
                    let random = context.random()?;
                    let (item, changed) = item.into_written(context.now_millis(), &random);
                    scopes.extend(changed.map(Scope::Account));
                    wanted.push(item);
                    None
                }
                Err(problem) => Some(problem),
            };
            refusals.push(refusal);
        }
        let parameters = [
            digest.0.to_vec().into(),
            Value::from(wanted).to_string().into(),
        ];
        let sql = "SELECT billing_accounts_write($1, $2::text::jsonb)::text";
        let call = db::call(context, sql, &parameters, db::no_refusal_of_its_own);
        let written: AllWritten = cache::during_write(context, &scopes, call).await?;
        let mut written = written.items.into_iter();
        let outcome = |refusal: Option<Problem>| match refusal {
            Some(problem) => Ok(Outcome::Refused(problem)),
            None => written
                .next()
                .map(|written| outcome_of(context, written))
                .ok_or_else(Problem::internal),
        };
        refusals.into_iter().map(outcome).collect()
    }

    fn outcome_of(context: &Context, written: Written) -> Outcome {
        match written {
            Written::Done { is_new, account } if is_new => Outcome::Created(account),
            Written::Done { account, .. } => Outcome::Changed(account),
            Written::Refused(refused) => {
                Outcome::Refused(account::refuse(&refused).unwrap_or_else(|| {
                    let code = &refused.code;
                    let message = format!("an account was refused with {code}, which is not known");
                    context.log("error", &message);
                    Problem::internal()
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::input;

    #[test]
    fn items_are_one_of_two() {
        let create = json!({"name": "Ada"});
        let update = json!({"id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4", "change": {}});
        let table = [
            (json!({"create": create}), vec![]),
            (json!({"update": update, "create": null}), vec![]),
            (json!({}), vec![("create", "required")]),
            (
                json!({"create": create, "update": update}),
                vec![("update", "conflict")],
            ),
            (
                json!({"update": {"version": 0}}),
                vec![
                    ("update.id", "required"),
                    ("update.version", "out_of_range"),
                    ("update.change", "required"),
                ],
            ),
            (
                json!({"delete": 1}),
                vec![("delete", "unknown"), ("create", "required")],
            ),
            (json!(1), vec![("", "wrong_type")]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<AccountItem>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn what_is_written_names_what_it_changes() {
        let item = |body: Value| input::value::<AccountItem>(&body).expect("the table is right");
        let id: BillingAccountId = "acc_0199a2c4e2447b3c8d5e6f708192a3b4"
            .parse()
            .expect("it is an id");
        let update = json!({"update": {"id": id, "version": 3, "change": {"phone": null}}});
        let (written, changed) = item(update).into_written(7, &[3; 10]);
        let expected = json!({"op": "update", "id": id.as_uuid().to_string(), "version": 3, "patch": {"phone": null}});
        assert_eq!((written, changed), (expected, Some(id)));
        let (written, changed) = item(json!({"create": {"name": "Ada"}})).into_written(7, &[3; 10]);
        assert_eq!((written["op"].as_str(), changed), (Some("create"), None));
    }
}
