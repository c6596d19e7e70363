//! Requests that change the same account, sent to Postgres together.
//!
//! Statements that change an account wait for each other. While one of an account is under way,
//! the instance's other requests for the account queue here and not in Postgres; when it has come
//! back, all that wait are sent as one statement. A request that finds nobody before it is sent at
//! once, so that one alone waits for nothing.
//!
//! One request leads: it sends a statement for itself and for those that wait, tells them what
//! became of theirs, and hands over to the oldest that came meanwhile. The oldest leads, because
//! its time is up first: no statement is sent later than any of its requests may be. Whatever ends
//! a leader, its drop puts back whom it has told nothing, and hands over.
//!
//! A request that would wait for longer than it may is refused before it waits. How long the last
//! statements took says so.

mod pace;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use spin_sdk::pg::{DbValue, ParameterValue};
use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::wit_stream;

use pace::Pace;

use crate::http::context::Context;
use crate::store::db::{self, Failure};

/// Most requests in one statement. It takes about 10 ms for so many of a person and 25 ms of a pool,
/// of the 1,500 that a statement may take.
const MAX_REQUESTS: usize = 64;

/// What a request must have left of its time for a statement to be sent. With less, Postgres would
/// go on with a statement that nobody waits for, while those behind it wait for the account.
const MIN_LEFT: Duration = Duration::from_millis(100);

/// Rings when it is dropped. A task cannot wake another one of its instance by itself; the end of
/// a stream does.
type Bell = StreamWriter<u8>;

thread_local! {
    static QUEUES: Rc<Queues<Bell>> = Rc::default();
}

/// What a request that waits is told.
enum Word {
    /// Nobody is before it any more: it sends the next statement.
    Lead,
    /// What became of it in a statement that was sent for several.
    Done(Result<String, Failure>),
    /// A statement for several failed, and one of them can be the reason: each is sent alone.
    Alone,
}

/// What a request sends, and what it is told while it waits.
struct Request {
    parameters: Vec<ParameterValue>,
    word: RefCell<Option<Word>>,
}

/// A request in a queue, with the bell that it listens for.
struct Waiting<B> {
    request: Rc<Request>,
    bell: B,
}

impl<B> Waiting<B> {
    fn tell(self, word: Word) {
        self.request.word.replace(Some(word));
        drop(self.bell);
    }
}

/// The requests that wait for one account, the oldest first.
struct Queue<B> {
    waiting: VecDeque<Waiting<B>>,
    pace: Pace,
}

impl<B> Default for Queue<B> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            pace: Pace::default(),
        }
    }
}

/// The queues by account. An account has one, which can be empty, as long as a request leads.
struct Queues<B>(RefCell<HashMap<String, Queue<B>>>);

impl<B> Default for Queues<B> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<B> Queues<B> {
    /// The lead of an account that nobody has.
    fn lead(self: &Rc<Self>, account: &str) -> Option<Lead<B>> {
        let mut queues = self.0.borrow_mut();
        if queues.contains_key(account) {
            return None;
        }
        queues.insert(account.to_owned(), Queue::default());
        Some(Lead::of(self, account))
    }

    /// A place behind those that wait for an account which somebody leads.
    fn wait(self: &Rc<Self>, account: &str, request: &Rc<Request>, bell: B) -> Place<B> {
        let waiting = Waiting {
            request: Rc::clone(request),
            bell,
        };
        let mut queues = self.0.borrow_mut();
        queues
            .entry(account.to_owned())
            .or_default()
            .waiting
            .push_back(waiting);
        Place {
            queues: Rc::clone(self),
            account: account.to_owned(),
            request: Rc::clone(request),
        }
    }

    /// How long a request would wait for its answer that came for the account now, if that is
    /// known.
    fn wait_of_next(&self, account: &str, now: Duration) -> Option<Duration> {
        let queues = self.0.borrow();
        let queue = queues.get(account)?;
        queue.pace.wait(queue.waiting.len(), now)
    }

    /// Has the oldest that waits lead, or ends the queue if nobody waits.
    fn hand_over(&self, account: &str) {
        let next = {
            let mut queues = self.0.borrow_mut();
            let next = queues.get_mut(account).and_then(|queue| {
                // Of a request that has gone, nobody but its queue knows.
                let is_there = |waiting: &Waiting<B>| Rc::strong_count(&waiting.request) > 1;
                queue.waiting.retain(is_there);
                queue.waiting.pop_front()
            });
            if next.is_none() {
                queues.remove(account);
            }
            next
        };
        if let Some(next) = next {
            next.tell(Word::Lead);
        }
    }
}

/// The right to send statements for an account, and the requests that one is sent for beside the
/// leader's own.
struct Lead<B> {
    queues: Rc<Queues<B>>,
    account: String,
    others: VecDeque<Waiting<B>>,
}

impl<B> Lead<B> {
    fn of(queues: &Rc<Queues<B>>, account: &str) -> Self {
        Self {
            queues: Rc::clone(queues),
            account: account.to_owned(),
            others: VecDeque::new(),
        }
    }

    /// Takes those that wait, the oldest first.
    fn gather(&mut self) {
        let mut queues = self.queues.0.borrow_mut();
        if let Some(queue) = queues.get_mut(&self.account) {
            let count = queue.waiting.len().min(MAX_REQUESTS - 1);
            self.others.extend(queue.waiting.drain(..count));
        }
    }

    /// Notes something of how long the account's statements take.
    fn note(&self, change: impl FnOnce(&mut Pace)) {
        if let Some(queue) = self.queues.0.borrow_mut().get_mut(&self.account) {
            change(&mut queue.pace);
        }
    }

    /// Runs a statement for the account.
    async fn run(
        &self,
        context: &Context,
        sql: &str,
        parameters: &[ParameterValue],
        left: Duration,
    ) -> Result<Vec<DbValue>, Failure> {
        self.note(|pace| pace.note_sent(context.instance_time()));
        let outcome = db::run(context, sql, parameters, left).await;
        self.note(|pace| pace.note_back(context.instance_time(), outcome.is_err()));
        outcome
    }

    /// Tells those for whom a statement was sent what became of them.
    fn tell(&mut self, mut word: impl FnMut() -> Word) {
        for waiting in self.others.drain(..) {
            waiting.tell(word());
        }
    }
}

impl<B> Drop for Lead<B> {
    fn drop(&mut self) {
        if let Some(queue) = self.queues.0.borrow_mut().get_mut(&self.account) {
            while let Some(waiting) = self.others.pop_back() {
                queue.waiting.push_front(waiting);
            }
            queue.pace.note_gone();
        }
        self.queues.hand_over(&self.account);
    }
}

/// A request's place in a queue. Whoever leaves it hands on what they were told to do.
struct Place<B> {
    queues: Rc<Queues<B>>,
    account: String,
    request: Rc<Request>,
}

impl<B> Place<B> {
    /// What the request was told, once its bell has rung.
    fn leave(self) -> Option<Word> {
        self.request.word.take()
    }
}

impl<B> Drop for Place<B> {
    fn drop(&mut self) {
        if matches!(self.request.word.take(), Some(Word::Lead)) {
            self.queues.hand_over(&self.account);
            return;
        }
        if let Some(queue) = self.queues.0.borrow_mut().get_mut(&self.account) {
            let is_another = |waiting: &Waiting<B>| !Rc::ptr_eq(&waiting.request, &self.request);
            queue.waiting.retain(is_another);
        }
    }
}

/// Has a request answered by the first statement, which is for one, or with others of its account
/// by the second.
///
/// # Errors
/// The statement failed, or the request's time was up before one could be sent, or would be.
pub(super) async fn answer(
    context: &Context,
    sql: [&'static str; 2],
    account: &str,
    parameters: Vec<ParameterValue>,
) -> Result<String, Failure> {
    let began = context.elapsed();
    let left = || db::ANSWER_DEADLINE.saturating_sub(context.elapsed().saturating_sub(began));
    let queues = QUEUES.with(Rc::clone);
    let request = Rc::new(Request {
        parameters,
        word: RefCell::default(),
    });
    let lead = match queues.lead(account) {
        Some(lead) => lead,
        None => {
            let wait = queues.wait_of_next(account, context.instance_time());
            if let Some(beyond) = wait.and_then(|wait| wait.checked_sub(left())) {
                return Err(Failure::Crowded { beyond });
            }
            let (bell, mut ear) = wit_stream::new::<u8>();
            let place = queues.wait(account, &request, bell);
            let _ = ear.read(Vec::with_capacity(1)).await;
            match place.leave() {
                Some(Word::Lead) => Lead::of(&queues, account),
                Some(Word::Done(outcome)) => {
                    context.count_db_query();
                    return outcome;
                }
                Some(Word::Alone) | None => {
                    return send_alone(context, sql[0], &request, left()).await;
                }
            }
        }
    };
    if let Some(outcome) = send(context, sql, lead, &request, left()).await {
        return outcome;
    }
    send_alone(context, sql[0], &request, left()).await
}

async fn send_alone(
    context: &Context,
    sql: &'static str,
    request: &Request,
    left: Duration,
) -> Result<String, Failure> {
    if left < MIN_LEFT {
        return Err(too_late());
    }
    one_text(db::run(context, sql, &request.parameters, left).await?)
}

/// The answer of a row for one request.
fn one_text(row: Vec<DbValue>) -> Result<String, Failure> {
    match <[DbValue; 1]>::try_from(row) {
        Ok([DbValue::Str(answer)]) => Ok(answer),
        Ok(_) | Err(_) => Err(Failure::Fault("not one JSON text".to_owned())),
    }
}

fn too_late() -> Failure {
    Failure::Connection("requests before it took all of its time".to_owned())
}

/// Sends a statement for the leader and for all that wait, and tells them. `None` if the leader is
/// to be sent alone.
async fn send(
    context: &Context,
    [one, many]: [&'static str; 2],
    mut lead: Lead<Bell>,
    request: &Request,
    left: Duration,
) -> Option<Result<String, Failure>> {
    if left < MIN_LEFT {
        return Some(Err(too_late()));
    }
    lead.gather();
    if lead.others.is_empty() {
        let row = lead.run(context, one, &request.parameters, left).await;
        return Some(row.and_then(one_text));
    }
    let others = lead.others.iter().map(|waiting| &*waiting.request);
    let all: Vec<&[ParameterValue]> = std::iter::once(request)
        .chain(others)
        .map(|request| request.parameters.as_slice())
        .collect();
    let outcome = match columns(&all) {
        Some(parameters) => match lead.run(context, many, &parameters, left).await {
            Ok(row) => answers(row, all.len())
                .ok_or_else(|| Failure::Fault("not one JSON text for each request".to_owned())),
            Err(failure) => Err(failure),
        },
        None => Err(Failure::Fault("a parameter has no array".to_owned())),
    };
    match outcome {
        Ok(mut answers) => {
            let own = answers.pop_front()?;
            lead.tell(|| {
                answers
                    .pop_front()
                    .map_or(Word::Alone, |answer| Word::Done(Ok(answer)))
            });
            Some(Ok(own))
        }
        // The others may have more time than the leader had, and lead one after the other.
        Err(failure @ Failure::Connection(_)) => Some(Err(failure)),
        Err(failure @ (Failure::Fault(_) | Failure::InvalidText)) => {
            if let Failure::Fault(reason) = failure {
                context.log("error", &format!("{many} failed: {reason}"));
            }
            lead.tell(|| Word::Alone);
            None
        }
        Err(
            failure @ (Failure::Conflict(_)
            | Failure::Locked
            | Failure::TimedOut
            | Failure::Crowded { .. }),
        ) => {
            lead.tell(|| Word::Done(Err(failure.clone())));
            Some(Err(failure))
        }
    }
}

/// The parameters of several requests as arrays: of decimals, or of texts, which the statement
/// casts. `None` for one that has no such form.
fn columns(requests: &[&[ParameterValue]]) -> Option<Vec<ParameterValue>> {
    let width = requests.first()?.len();
    (0..width)
        .map(|index| {
            let column: Option<Vec<&ParameterValue>> = requests
                .iter()
                .map(|parameters| parameters.get(index))
                .collect();
            let column = column?;
            let texts: Option<Vec<Option<String>>> =
                column.iter().map(|value| text(value)).collect();
            let is_decimal = |value: &&ParameterValue| matches!(value, ParameterValue::Decimal(_));
            Some(match column.iter().any(is_decimal) {
                true => ParameterValue::ArrayDecimal(texts?),
                false => ParameterValue::ArrayStr(texts?),
            })
        })
        .collect()
}

/// A parameter as the text that Postgres reads it from; `None` for one that has none here.
fn text(value: &ParameterValue) -> Option<Option<String>> {
    Some(match value {
        ParameterValue::Str(text) | ParameterValue::Uuid(text) | ParameterValue::Decimal(text) => {
            Some(text.clone())
        }
        ParameterValue::Binary(bytes) => {
            let mut text = String::with_capacity(2 + 2 * bytes.len());
            text.push_str("\\x");
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            Some(text)
        }
        ParameterValue::DbNull => None,
        _ => return None,
    })
}

/// The answers of a row that is one array of as many texts.
fn answers(row: Vec<DbValue>, count: usize) -> Option<VecDeque<String>> {
    let Ok([DbValue::ArrayStr(texts)]) = <[DbValue; 1]>::try_from(row) else {
        return None;
    };
    let texts: VecDeque<String> = texts.into_iter().collect::<Option<_>>()?;
    (texts.len() == count).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bell that says whose it was when it rings.
    struct Ring {
        name: &'static str,
        rung: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Drop for Ring {
        fn drop(&mut self) {
            self.rung.borrow_mut().push(self.name);
        }
    }

    #[derive(Default)]
    struct Case {
        queues: Rc<Queues<Ring>>,
        rung: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Case {
        fn wait(&self, name: &'static str) -> Place<Ring> {
            let request = Rc::new(Request {
                parameters: vec![name.to_owned().into()],
                word: RefCell::default(),
            });
            let rung = Rc::clone(&self.rung);
            self.queues.wait("account", &request, Ring { name, rung })
        }

        fn lead(&self) -> Lead<Ring> {
            self.queues.lead("account").expect("nobody leads")
        }

        /// Who was rung for since this was last asked.
        fn rung(&self) -> String {
            self.rung.take().join(" ")
        }

        fn is_over(&self) -> bool {
            self.queues.0.borrow().is_empty()
        }
    }

    fn is_led(place: Place<Ring>) -> bool {
        matches!(place.leave(), Some(Word::Lead))
    }

    #[test]
    fn one_leads_and_those_that_wait_are_told_in_their_order() {
        let case = Case::default();
        let mut lead = case.lead();
        assert!(case.queues.lead("account").is_none(), "one leads");
        assert!(case.queues.lead("other").is_some(), "of each account");
        lead.gather();
        let (first, second) = (case.wait("first"), case.wait("second"));
        assert_eq!(lead.others.len(), 0, "they came after the statement");
        drop(lead);
        assert_eq!(case.rung(), "first");
        assert!(is_led(first));
        let mut lead = Lead::of(&case.queues, "account");
        lead.gather();
        let third = case.wait("third");
        lead.tell(|| Word::Done(Ok("answer".to_owned())));
        assert_eq!(case.rung(), "second");
        assert!(matches!(second.leave(), Some(Word::Done(Ok(answer))) if answer == "answer"));
        drop(lead);
        assert_eq!(case.rung(), "third");
        assert!(is_led(third));
        drop(Lead::of(&case.queues, "account"));
        assert!(case.is_over(), "nobody waits, and nothing is kept");
        assert!(case.queues.lead("account").is_some());
    }

    #[test]
    fn a_leader_that_ends_leaves_nobody_behind() {
        let case = Case::default();
        let mut lead = case.lead();
        let places = [case.wait("first"), case.wait("second")];
        lead.gather();
        let third = case.wait("third");
        // Nobody was told anything.
        drop(lead);
        assert_eq!(case.rung(), "first");
        let [first, second] = places;
        assert!(is_led(first));
        let mut lead = Lead::of(&case.queues, "account");
        lead.gather();
        let order: Vec<_> = lead
            .others
            .iter()
            .map(|waiting| waiting.bell.name)
            .collect();
        assert_eq!(order, ["second", "third"], "as they came");
        // Gone while the statement was under way.
        drop((second, third));
        let fourth = case.wait("fourth");
        drop(lead);
        // The bells of those that have gone ring when their places go, for nobody.
        let rung = case.rung();
        assert!(rung.ends_with(" fourth"), "{rung}");
        assert!(is_led(fourth), "whoever has gone cannot lead");
        drop(Lead::of(&case.queues, "account"));
        assert!(case.is_over());
    }

    #[test]
    fn whoever_leaves_hands_over() {
        let case = Case::default();
        let lead = case.lead();
        let (first, second, third) = (case.wait("first"), case.wait("second"), case.wait("third"));
        drop(first);
        assert_eq!(case.rung(), "first", "it left the queue");
        drop(lead);
        assert_eq!(case.rung(), "second");
        // Asked to lead, and gone before it did.
        drop(second);
        assert_eq!(case.rung(), "third");
        assert!(is_led(third));
        drop(Lead::of(&case.queues, "account"));
        assert!(case.is_over());
    }

    #[test]
    fn a_statement_is_for_a_bounded_number() {
        let case = Case::default();
        let mut lead = case.lead();
        let places: Vec<_> = (0..MAX_REQUESTS + 5).map(|_| case.wait("one")).collect();
        lead.gather();
        assert_eq!(lead.others.len(), MAX_REQUESTS - 1);
        lead.tell(|| Word::Alone);
        drop(lead);
        let words = places.into_iter().map(Place::leave);
        let told: Vec<_> = words
            .map(|word| match word {
                Some(Word::Alone) => 'a',
                Some(Word::Lead) => 'l',
                Some(Word::Done(_)) => 'd',
                None => '-',
            })
            .collect();
        let (sent, left) = told.split_at(MAX_REQUESTS - 1);
        assert!(sent.iter().all(|word| *word == 'a'), "{told:?}");
        assert_eq!(left, ['l', '-', '-', '-', '-', '-'], "the oldest leads");
    }

    #[test]
    fn only_whoever_waits_is_asked_to_come_back() {
        let case = Case::default();
        let slow = Duration::from_millis(1_400);
        let mut now = Duration::ZERO;
        assert_eq!(case.queues.wait_of_next("account", now), None, "no queue");
        let mut lead = case.lead();
        let mut places = VecDeque::new();
        for _ in 0..2 {
            places.push_back(case.wait("next"));
            lead.note(|pace| pace.note_sent(now));
            now += slow;
            lead.note(|pace| pace.note_back(now, false));
            assert_eq!(case.queues.wait_of_next("other", now), None);
            drop(lead);
            assert!(places.pop_front().is_some_and(is_led));
            lead = Lead::of(&case.queues, "account");
        }
        lead.note(|pace| pace.note_sent(now));
        let wait = case.queues.wait_of_next("account", now + slow / 2);
        assert_eq!(wait, Some(slow + slow / 2), "the pace is the account's");
        // Whoever led went away, and the statement with it.
        let last = case.wait("last");
        drop(lead);
        assert!(is_led(last));
        let wait = case.queues.wait_of_next("account", now + slow / 2);
        assert_eq!(wait, Some(slow));
        drop(Lead::of(&case.queues, "account"));
        let _lead = case.lead();
        let wait = case.queues.wait_of_next("account", now);
        assert_eq!(wait, None, "the queue has ended, and its pace with it");
    }

    #[test]
    fn parameters_become_arrays() {
        let request = |key: &str, service: ParameterValue| {
            vec![
                ParameterValue::Binary(vec![0, 0xab]),
                key.to_owned().into(),
                ParameterValue::Decimal("1.25".to_owned()),
                service,
            ]
        };
        let requests = [
            request("a", ParameterValue::DbNull),
            request("b", "chat".to_owned().into()),
        ];
        let requests: Vec<&[ParameterValue]> = requests.iter().map(Vec::as_slice).collect();
        let shown = format!("{:?}", columns(&requests).expect("all have arrays"));
        let expected: Vec<ParameterValue> = vec![
            vec![Some("\\x00ab".to_owned()), Some("\\x00ab".to_owned())].into(),
            vec![Some("a".to_owned()), Some("b".to_owned())].into(),
            ParameterValue::ArrayDecimal(vec![Some("1.25".to_owned()), Some("1.25".to_owned())]),
            vec![None, Some("chat".to_owned())].into(),
        ];
        assert_eq!(shown, format!("{expected:?}"));
        let boolean = [ParameterValue::Boolean(true)];
        assert!(columns(&[&boolean]).is_none(), "there is no such array");
        let short = [ParameterValue::DbNull];
        let long = [ParameterValue::DbNull, ParameterValue::DbNull];
        assert!(columns(&[&long, &short]).is_none(), "one has fewer");
    }

    #[test]
    fn a_row_has_an_answer_for_each_request() {
        let texts = |texts: &[Option<&str>]| {
            let texts = texts.iter().map(|text| text.map(str::to_owned));
            vec![DbValue::ArrayStr(texts.collect())]
        };
        let table = [
            (texts(&[Some("a"), Some("b")]), Some("a b")),
            (texts(&[Some("a")]), None),
            (texts(&[Some("a"), None]), None),
            (texts(&[Some("a"), Some("b"), Some("c")]), None),
            (vec![DbValue::Str("a".to_owned())], None),
            (vec![], None),
        ];
        for (row, expected) in table {
            let shown = format!("{row:?}");
            let found = answers(row, 2).map(|found| Vec::from(found).join(" "));
            assert_eq!(found.as_deref(), expected, "{shown}");
        }
    }
}
