//! A custom pricing model that misbehaves as its parameters say: `{"do": "trap"}`.

use std::hint::black_box;
use std::net::TcpStream;

use serde_json::Value;

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/pricing", world: "pricing-model" });
}

use bindings::exports::turnpike::pricing::model::{Failure, Guest, Line, Request, Step};

/// Bytes that are taken at a time to use up the memory.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What the host calls.
pub struct Component;

impl Guest for Component {
    fn price(request: Request) -> Result<Vec<Line>, Failure> {
        let parameters: Value = serde_json::from_str(&request.parameters).unwrap_or_default();
        match parameters["do"].as_str().unwrap_or_default() {
            "ok" => Ok(vec![line("1.25")]),
            "trap" => panic!("the model was told to trap"),
            "loop" => {
                let mut turns = 0_u64;
                loop {
                    turns = black_box(turns.wrapping_add(1));
                }
            }
            "exhaust_memory" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(black_box(vec![1_u8; CHUNK_BYTES]));
                }
            }
            "refuse" => refuse("I will\u{0}\r\n not."),
            "refuse_at_length" => refuse(&"no ".repeat(1_000)),
            "no_lines" => Ok(Vec::new()),
            "many_lines" => Ok((0..10_000).map(|_| line("1")).collect()),
            "many_steps" => Ok(vec![Line {
                steps: (0..1_000).map(|_| step("0")).collect(),
                ..line("0")
            }]),
            "garbage_amount" => Ok(vec![Line {
                steps: Vec::new(),
                ..line("1e400")
            }]),
            "negative_amount" => Ok(vec![line("-1")]),
            "huge_amount" => Ok(vec![line("1000000000000")]),
            "wrong_sum" => Ok(vec![Line {
                amount: "2".to_owned(),
                ..line("1")
            }]),
            "long_text" => Ok(vec![Line {
                description: "x".repeat(100_000),
                ..line("1")
            }]),
            "control_text" => Ok(vec![Line {
                description: "\u{1b}[2J".to_owned(),
                ..line("1")
            }]),
            "network" => match TcpStream::connect(parameters["to"].as_str().unwrap_or_default()) {
                Ok(_) => Ok(vec![line("1")]),
                Err(error) => refuse(&format!("there is no network: {}", error.kind())),
            },
            "environment" => {
                let variables = std::env::vars().count();
                let files = std::fs::read_dir("/")
                    .map(Iterator::count)
                    .unwrap_or_default();
                if variables + files > 0 {
                    return Ok(vec![line("1")]);
                }
                refuse("there is neither a variable nor a file")
            }
            other => refuse(&format!("{other:?} is nothing that I do")),
        }
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    use crate::{Component, bindings};

    bindings::export!(Component with_types_in bindings);
}

fn refuse(message: &str) -> Result<Vec<Line>, Failure> {
    Err(Failure {
        message: message.to_owned(),
    })
}

fn step(amount: &str) -> Step {
    Step {
        text: format!("as told: {amount}"),
        amount: amount.to_owned(),
    }
}

fn line(amount: &str) -> Line {
    Line {
        description: "As told".to_owned(),
        quantity: None,
        unit_price: None,
        amount: amount.to_owned(),
        steps: vec![step(amount)],
    }
}
