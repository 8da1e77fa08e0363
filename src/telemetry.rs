//! Log lines to standard error, figures to `/metrics`.

use std::io::{self, IsTerminal};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// What is logged where `ROTUNDA_LOG` says nothing.
const DEFAULT_FILTER: &str = "info,sqlx=warn,graphile_worker=warn";

/// Why logs or figures cannot be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `ROTUNDA_LOG` is not a filter.
    #[error("ROTUNDA_LOG is not a filter such as info or rotunda=debug: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Two figures have one name.
    #[error("a metric cannot be registered: {0}")]
    Metric(#[from] prometheus::Error),
}

/// Sends log lines to standard error from now on, in colour where that is a terminal; the second
/// call of a process does nothing.
///
/// # Errors
/// [`TelemetryError::Filter`].
pub fn start_logging(
    format: LogFormat,
    filter: Option<&str>,
    colour: bool,
) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER))?;
    let registry = tracing_subscriber::registry().with(filter);
    let colour = colour && io::stderr().is_terminal();
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(colour);
    let done = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init(),
    };
    // A test binary starts more than one server; the first subscriber serves them all.
    drop(done);
    Ok(())
}

/// The figures of one process. Rooms register their own in [`Metrics::registry`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests answered, by method, route and status.
    pub http_requests: IntCounterVec,
    /// How long answers took, by route, in seconds.
    pub http_duration: HistogramVec,
    /// Connections that are open.
    pub http_connections: IntGauge,
    /// Requests being answered.
    pub http_in_flight: IntGauge,
    /// Requests that one transaction of a lane was opened for, by use case.
    pub lane_slices: HistogramVec,
}

impl Metrics {
    /// Figures that all stand at zero.
    ///
    /// # Errors
    /// [`TelemetryError::Metric`].
    pub fn new() -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let http_requests = IntCounterVec::new(
            Opts::new("rotunda_http_requests_total", "Requests answered."),
            &["method", "route", "status"],
        )?;
        let http_duration = HistogramVec::new(
            HistogramOpts::new(
                "rotunda_http_request_duration_seconds",
                "From the end of a request's head to its answer's head.",
            )
            .buckets(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            ]),
            &["route"],
        )?;
        let http_connections =
            IntGauge::new("rotunda_http_connections", "Connections that are open.")?;
        let http_in_flight = IntGauge::new(
            "rotunda_http_requests_in_flight",
            "Requests being answered.",
        )?;
        let lane_slices = HistogramVec::new(
            HistogramOpts::new(
                "rotunda_lane_slice_requests",
                "Requests that one transaction of a lane was opened for.",
            )
            .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            &["lane"],
        )?;
        registry.register(Box::new(lane_slices.clone()))?;
        registry.register(Box::new(http_requests.clone()))?;
        registry.register(Box::new(http_duration.clone()))?;
        registry.register(Box::new(http_connections.clone()))?;
        registry.register(Box::new(http_in_flight.clone()))?;
        Ok(Self {
            registry,
            http_requests,
            http_duration,
            http_connections,
            http_in_flight,
            lane_slices,
        })
    }

    /// Where further figures are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All figures in Prometheus' text format.
    ///
    /// # Errors
    /// [`TelemetryError::Metric`].
    pub fn text(&self) -> Result<String, TelemetryError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
