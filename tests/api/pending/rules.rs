//! The table of docs/auth.md: which event ends which pending thing.

use turnpike_tests::environment::project_root;

/// What ends sessions, by its row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    PasswordChanged,
    PasswordReset,
    UnverifiedReset,
    OthersEnded,
    OneEnded,
    RefreshReused,
    LoggedOut,
    UserDisabled,
    MemberRemoved,
    MemberLeft,
    EmailChanged,
    EmailUndone,
}

pub(super) const EVENTS: [(Event, &str); 12] = [
    (Event::PasswordChanged, "password changed"),
    (Event::PasswordReset, "password reset"),
    (
        Event::UnverifiedReset,
        "password of an unverified account reset",
    ),
    (Event::OthersEnded, "all others ended"),
    (Event::OneEnded, "one ended from another"),
    (Event::RefreshReused, "refresh token reused"),
    (Event::LoggedOut, "logged out"),
    (Event::UserDisabled, "user disabled"),
    (Event::MemberRemoved, "member removed"),
    (Event::MemberLeft, "member left"),
    (Event::EmailChanged, "email changed"),
    (Event::EmailUndone, "email change undone"),
];

/// What is pending, by its column in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    VerifyLink,
    ChangeLink,
    ResetLink,
    UndoLink,
    Invitation,
    ApiKey,
    Enrolment,
    RecoveryCodes,
}

pub(super) const THINGS: [(Thing, &str); 8] = [
    (Thing::VerifyLink, "verify link"),
    (Thing::ChangeLink, "change link"),
    (Thing::ResetLink, "reset link"),
    (Thing::UndoLink, "undo link"),
    (Thing::Invitation, "invitation"),
    (Thing::ApiKey, "API key"),
    (Thing::Enrolment, "unconfirmed enrolment"),
    (Thing::RecoveryCodes, "recovery codes"),
];

/// Whose session made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// One that the event ends.
    Ended,
    /// The one that asks for the event, or lives on beside it.
    Other,
    /// One that was logged out before.
    Gone,
    /// One in another organization than that which the event is about.
    Elsewhere,
}

impl Event {
    /// Whether it leaves the session that is not the one it is about.
    pub(super) fn keeps_other(self) -> bool {
        !matches!(
            self,
            Self::PasswordReset
                | Self::UnverifiedReset
                | Self::UserDisabled
                | Self::EmailUndone
                | Self::MemberRemoved
                | Self::MemberLeft
        )
    }

    pub(super) fn is_of_an_organization(self) -> bool {
        matches!(self, Self::MemberRemoved | Self::MemberLeft)
    }
}

/// A row of the table, by column.
type Row = Vec<String>;

/// The table of docs/auth.md: its columns, and its rows by their event.
pub(super) fn table() -> (Row, Vec<Row>) {
    let text = std::fs::read_to_string(project_root().join("docs/auth.md"))
        .expect("docs/auth.md can be read");
    let cells = |line: &str| -> Row {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with("| event |"));
    let columns = cells(lines.next().unwrap_or_default());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    (columns, rows.map(cells).collect())
}

/// What the table says of every event and thing.
pub(super) fn rules() -> Vec<(Event, Thing, String)> {
    let (columns, rows) = table();
    assert_eq!(
        columns[2..],
        THINGS.map(|(_, name)| name),
        "the columns of the table are the things that are pending"
    );
    let events: Vec<&str> = rows.iter().map(|row| &*row[0]).collect();
    assert_eq!(events, EVENTS.map(|(_, name)| name));
    let mut rules = Vec::new();
    for ((event, _), row) in EVENTS.into_iter().zip(&rows) {
        for ((thing, _), rule) in THINGS.into_iter().zip(&row[2..]) {
            rules.push((event, thing, rule.clone()));
        }
    }
    rules
}

/// The makers whose things a cell tells apart.
pub(super) fn makers(event: Event, thing: Thing) -> Vec<Maker> {
    let mut makers = vec![Maker::Ended];
    if !matches!(thing, Thing::ResetLink | Thing::UndoLink) {
        makers.push(Maker::Other);
    }
    if matches!(thing, Thing::Invitation | Thing::ApiKey) {
        makers.push(Maker::Gone);
        if event.is_of_an_organization() {
            makers.push(Maker::Elsewhere);
        }
    }
    makers
}

pub(super) fn works_after(event: Event, rule: &str, maker: Maker) -> bool {
    match rule {
        "stays" => true,
        "all" | "newer" => false,
        "there" => maker == Maker::Elsewhere,
        "made" => match maker {
            Maker::Ended => false,
            Maker::Other => event.keeps_other(),
            Maker::Gone | Maker::Elsewhere => true,
        },
        unknown => panic!("docs/auth.md does not say what {unknown:?} is"),
    }
}
