//! Traces, as a collector gets them.

use super::super::serve::{Server, question};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Any,
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

/// Takes what is sent to it, with the path it is sent to.
fn collector() -> (String, mpsc::Receiver<(String, ExportTraceServiceRequest)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let field = |name: &str| {
                head.lines()
                    .find_map(|line| Some(line.split_once(": ").filter(|(found, _)| *found == name)?.1.to_owned()))
            };
            assert_eq!(field("content-type").as_deref(), Some("application/x-protobuf"), "{head}");
            let mut body = vec![0; field("content-length").unwrap().parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let path = head.split(' ').nth(1).unwrap().to_owned();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            if sender.send((path, ExportTraceServiceRequest::decode(&body[..]).unwrap())).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn attribute(span: &Span, name: &str) -> Option<Any> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
}

fn text(value: &str) -> Option<Any> {
    Some(Any::StringValue(value.into()))
}

fn service(resource: &Resource) -> Option<Any> {
    resource.attributes.iter().find(|attribute| attribute.key == "service.name")?.value.clone()?.value
}

/// The spans of one question to a server that is started by these flags and variables, and the service that they tell of.
fn spans_of_a_question(flags: &[&str], variables: &[(&str, &str)]) -> (Vec<Span>, Option<Any>, String) {
    let (url, received) = collector();
    let flags: Vec<String> = flags.iter().map(|flag| flag.replace("URL", &url)).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::launch(&flags, |command| {
        command.env("OTEL_BSP_SCHEDULE_DELAY", "100");
        for (name, value) in variables {
            command.env(name, value.replace("URL", &url));
        }
    });
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let body = question("exit code 5").to_string();
    let (status, _, _) = server.request("POST", "/v1/chat/completions", &[parent], body.as_bytes());
    assert_eq!(status, 200);
    let (mut spans, mut service_name, mut to) = (Vec::new(), None, String::new());
    while spans.len() < 5 {
        let (path, request) = received.recv_timeout(Duration::from_secs(30)).expect("spans");
        to = path;
        for all in request.resource_spans {
            service_name = service(&all.resource.unwrap());
            spans.extend(all.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    (spans, service_name, to)
}

#[test]
fn a_request_is_a_span_with_its_answer_and_its_phases_below() {
    let (spans, service, path) = spans_of_a_question(&["--otlp-endpoint", "URL"], &[]);
    assert_eq!((spans.len(), service, path.as_str()), (5, text("taper"), "/v1/traces"));
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let request = named("POST /v1/chat/completions");
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(request.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(attribute(request, "http.response.status_code"), Some(Any::IntValue(200)));
    assert_eq!(attribute(request, "http.route"), text("/v1/chat/completions"));

    let chat = named("chat demo");
    assert_eq!(chat.parent_span_id, request.span_id);
    assert_eq!(attribute(chat, "gen_ai.operation.name"), text("chat"));
    assert_eq!(attribute(chat, "gen_ai.request.model"), text("demo"));
    for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        let Some(Any::IntValue(n)) = attribute(chat, name) else { panic!("no {name}") };
        assert!(n > 3);
    }
    let Some(Any::ArrayValue(reasons)) = attribute(chat, "gen_ai.response.finish_reasons") else { panic!("no reason") };
    assert_eq!(reasons.values[0].value, text("stop"));

    let mut from = chat.start_time_unix_nano;
    for name in ["queue", "prefill", "decode"] {
        let phase = named(name);
        assert_eq!((&phase.parent_span_id, phase.start_time_unix_nano), (&chat.span_id, from));
        from = phase.end_time_unix_nano;
    }
    assert_eq!(chat.end_time_unix_nano, from);
    assert!(named("decode").end_time_unix_nano > named("decode").start_time_unix_nano);
    let within = request.start_time_unix_nano..=request.end_time_unix_nano;
    assert!(within.contains(&chat.start_time_unix_nano) && within.contains(&chat.end_time_unix_nano));
    for span in &spans {
        assert_eq!(span.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert!(span.attributes.iter().all(|attribute| !format!("{attribute:?}").contains("exit code 5")));
    }
}

#[test]
fn the_variables_count_when_the_flag_leaves_the_address_to_them() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "URL/base"), ("OTEL_SERVICE_NAME", "mine")];
    let (spans, service, path) = spans_of_a_question(&["--otlp-endpoint"], &variables);
    assert_eq!((spans.len(), service, path.as_str()), (5, text("mine"), "/base/v1/traces"));
}

#[test]
fn nothing_is_sent_unless_it_is_asked_for() {
    let (url, received) = collector();
    let server = Server::launch(&[], |command| _ = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url));
    assert_eq!(server.post("/v1/chat/completions", &question("exit code 5")).0, 200);
    drop(server);
    assert!(received.recv_timeout(Duration::from_millis(300)).is_err());
    let mut serve = assert_cmd::Command::cargo_bin("taper").unwrap();
    serve.args(["serve", "-m", "demo", "--otlp-endpoint", "collector:4317"]).assert().code(2);
}

#[cfg(unix)]
#[test]
fn the_last_traces_are_sent_before_the_end_and_a_collector_that_is_away_does_no_harm() {
    let (url, received) = collector();
    let mut server = Server::start(&["--otlp-endpoint", &url]);
    assert_eq!(server.post("/v1/chat/completions", &question("exit code 5")).0, 200);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(received.recv_timeout(Duration::from_secs(30)).is_ok());

    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = Server::start(&["--otlp-endpoint", &format!("http://{away}")]);
    assert_eq!(server.post("/v1/chat/completions", &question("exit code 5")).0, 200);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}
