//! Traces of requests, sent to a collector over OTLP: a span for the request, below it one for each answer, and below that
//! its phases. Attributes have the names of OpenTelemetry's conventions for HTTP and for generative AI.

use super::{
    Tracing,
    collector::Collector,
    record::{Answered, Asked},
};
use axum::http::HeaderMap;
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    propagation::TextMapPropagator,
    trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// How long the last traces may take when the server ends.
const LAST: Duration = Duration::from_secs(3);

/// Makes traces and sends them.
pub(super) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Starts a thread that sends traces. The variables of the environment that OpenTelemetry has for this count where the
    /// settings do not say otherwise.
    ///
    /// # Errors
    /// If the address is none.
    pub(super) fn start(settings: &Tracing) -> io::Result<Traces> {
        let builder = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Collector::new());
        let builder = match &settings.endpoint {
            Some(endpoint) => builder.with_endpoint(traces_url(endpoint)),
            None => builder,
        };
        let exporter = builder.build().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name("taper"),
        };
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        let tracer = provider.tracer("taper");
        Ok(Traces { provider, tracer })
    }

    /// The span of a request, which goes on with the trace that its headers tell of.
    pub(super) fn request(self: &Arc<Traces>, method: &str, route: &str, headers: &HeaderMap) -> Spans {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let builder = SpanBuilder::from_name(format!("{method} {route}")).with_kind(SpanKind::Server);
        Spans { span: self.tracer.build_with_context(builder, &parent), traces: Arc::clone(self) }
    }

    /// Sends what is left.
    pub(super) fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Collectors are known by their base, and take traces below it.
fn traces_url(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with("/v1/traces") { endpoint.to_owned() } else { format!("{endpoint}/v1/traces") }
}

/// The spans of one request.
pub(super) struct Spans {
    span: SdkSpan,
    traces: Arc<Traces>,
}

impl Spans {
    /// The trace that it belongs to; `None` if it is not sent.
    pub(super) fn trace_id(&self) -> Option<String> {
        self.span.is_recording().then(|| self.span.span_context().trace_id().to_string())
    }

    /// Ends the span, with those of its answers below it.
    pub(super) fn end(mut self, asked: &Asked, status: u16, started: Instant, answers: &[Answered]) {
        if !self.span.is_recording() {
            return;
        }
        let now = SystemTime::now();
        self.span.set_attributes([
            KeyValue::new("http.request.method", asked.method.clone()),
            KeyValue::new("http.route", asked.route.clone()),
            KeyValue::new("url.path", asked.path.clone()),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("http.request.header.x-request-id", strings([asked.id.clone()])),
        ]);
        if status >= 500 {
            self.span.set_status(Status::error(""));
        }
        let began = now - started.elapsed();
        let context = Context::new().with_remote_span_context(self.span.span_context().clone());
        for answer in answers {
            self.answer(&context, &asked.route, answer, began + (answer.started - started));
        }
        self.span.end_with_timestamp(now);
    }

    fn answer(&self, context: &Context, route: &str, answer: &Answered, began: SystemTime) {
        let phases = answer.phases;
        let operation = operation(route);
        let builder = SpanBuilder::from_name(format!("{operation} {}", answer.model))
            .with_kind(SpanKind::Internal)
            .with_start_time(began)
            .with_attributes(attributes(operation, answer));
        let mut span = self.traces.tracer.build_with_context(builder, context);
        let below = Context::new().with_remote_span_context(span.span_context().clone());
        let mut from = began;
        for (name, took) in [("queue", phases.queue), ("prefill", phases.prefill), ("decode", phases.decode)] {
            let builder = SpanBuilder::from_name(name).with_start_time(from);
            from += took;
            self.traces.tracer.build_with_context(builder, &below).end_with_timestamp(from);
        }
        span.end_with_timestamp(from);
    }
}

/// What the conventions call the operations of our paths.
fn operation(route: &str) -> &'static str {
    match route {
        "/v1/completions" => "text_completion",
        "/v1/embeddings" => "embeddings",
        _ => "chat",
    }
}

/// Source: OpenTelemetry's semantic conventions for generative AI, spans of inference.
fn attributes(operation: &'static str, answer: &Answered) -> Vec<KeyValue> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let model = || answer.model.to_string();
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", operation),
        KeyValue::new("gen_ai.provider.name", "taper"),
        KeyValue::new("gen_ai.request.model", model()),
        KeyValue::new("gen_ai.response.model", model()),
        KeyValue::new("gen_ai.request.temperature", f64::from(answer.temperature)),
        KeyValue::new("gen_ai.request.top_p", f64::from(answer.top_p)),
        KeyValue::new("gen_ai.usage.input_tokens", count(answer.n_prompt)),
        KeyValue::new("gen_ai.usage.cache_read.input_tokens", count(answer.n_reused)),
        KeyValue::new("gen_ai.usage.output_tokens", count(answer.n_tokens)),
        KeyValue::new("gen_ai.response.finish_reasons", strings([answer.finish_reason.to_owned()])),
        KeyValue::new("gen_ai.response.time_to_first_chunk", answer.phases.to_first_token().as_secs_f64()),
    ];
    attributes.extend(answer.max_tokens.map(|n| KeyValue::new("gen_ai.request.max_tokens", count(n))));
    attributes
}

fn strings<const N: usize>(texts: [String; N]) -> Value {
    Value::Array(Array::String(texts.map(StringValue::from).into()))
}

#[cfg(test)]
mod tests {
    use super::{operation, traces_url};

    #[test]
    fn a_base_gets_the_path_of_traces_and_a_whole_address_stays() {
        for (given, expected) in [
            ("http://a:4318", "http://a:4318/v1/traces"),
            ("http://a:4318/", "http://a:4318/v1/traces"),
            ("https://a/otlp", "https://a/otlp/v1/traces"),
            ("http://a/v1/traces", "http://a/v1/traces"),
        ] {
            assert_eq!(traces_url(given), expected);
        }
        assert_eq!(operation("/v1/completions"), "text_completion");
    }
}
