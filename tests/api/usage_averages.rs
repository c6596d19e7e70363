//! Averages have nine digits after the point, whatever their size.

use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{groups, meter, send, whole_range};

api_tests![have_nine_digits_at_any_size];

async fn have_nine_digits_at_any_size(host: &TestHost) {
    let user = host.new_user("ada").await;
    let more = json!({"group_by": ["row"]});
    meter(host, &user.token, "average", "average", more).await;
    // The largest that a text may be.
    let largest = "99999999999999999999";
    // The values of events, and their average by hand.
    let table: [(&[&str], &str); 12] = [
        (&["1", "0", "0"], "0.333333333"),
        (&["1", "1", "0"], "0.666666667"),
        (&["1000000000", "0", "0"], "333333333.333333333"),
        (&["-1000000000", "0", "0"], "-333333333.333333333"),
        (
            &["100000000000000000", "0", "0"],
            "33333333333333333.333333333",
        ),
        (&[largest, "0", "0"], "33333333333333333333"),
        (&[largest, "1", "0"], "33333333333333333333.333333333"),
        (&["123456789.123456789"], "123456789.123456789"),
        // Halves go away from zero, and what is less than one does not.
        (&["0.000000001", "0"], "0.000000001"),
        (&["-0.000000001", "0"], "-0.000000001"),
        (&["0.00000000099999999999", "0"], "0"),
        (&["5", "-5"], "0"),
    ];
    let events = table.iter().enumerate().flat_map(|(row, (values, _))| {
        values.iter().enumerate().map(move |(n, value)| {
            json!({"id": format!("{row}-{n}"), "type": "call",
                   "properties": {"n": value, "row": row.to_string()}})
        })
    });
    let events: Vec<Value> = events.collect();
    let accepted = send(host, &user.token, &json!(events)).await;
    assert_eq!(accepted, [events.len() as u64, 0, 0]);
    let query = format!("meter=average&group_by=row&{}", whole_range());
    let shown = groups(host, &user.token, &query).await;
    for (row, (values, expected)) in table.iter().enumerate() {
        // A group is shown as the JSON text of its value.
        let row = json!(row.to_string());
        let group = shown.iter().find(|group| group["group"]["row"] == row);
        let value = group.map(|group| &group["value"]);
        assert_eq!(value, Some(&json!(expected)), "the average of {values:?}");
    }
}
