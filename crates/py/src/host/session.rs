//! Sessions of a pool as Python objects, and what there is to tell about them.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::{Opening, SessionHandle, SessionInfo, SessionKey};

use super::errors;
use super::runtime::duration;
use crate::codec;

/// A session of one pool. Python wraps it in `snakepit.Session`; not public.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Session {
    handle: SessionHandle,
    /// Whichever session is open under the id, not one that was opened by this object.
    by_id: bool,
}

impl Session {
    pub(super) fn by_id(
        py: Python<'_>,
        pool: &snakepit::Pool,
        id: &str,
        affinity: Option<&str>,
    ) -> PyResult<Self> {
        let handle = pool.session_handle(id, parsed(py, affinity)?);
        Ok(Self { handle, by_id: true })
    }

    pub(super) fn open(
        py: Python<'_>,
        pool: &snakepit::Pool,
        (id, affinity): (&str, Option<&str>),
        ttl: Option<f64>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let metadata = metadata.map(|metadata| codec::encode(metadata, "metadata")).transpose()?;
        // More than a clock can hold is no limit.
        let opening =
            Opening { ttl: ttl.map(|ttl| duration(Some(ttl))), metadata: metadata.map(Into::into) };
        let handle = pool.session_opening(id, parsed(py, affinity)?, opening);
        pool.open_session(&handle).map_err(|error| errors::exception(py, &error))?;
        Ok(Self { handle, by_id: false })
    }

    pub(super) fn key(&self) -> SessionKey {
        if self.by_id { self.handle.key_of_id() } else { self.handle.key() }
    }

    pub(super) fn close(&self, pool: &snakepit::Pool) -> bool {
        pool.close_session_of(&self.handle)
    }
}

fn parsed(py: Python<'_>, affinity: Option<&str>) -> PyResult<Option<snakepit::Affinity>> {
    let parsed = affinity.map(str::parse).transpose();
    parsed.map_err(|message| errors::config_error(py, "affinity", message))
}

#[pymethods]
impl Session {
    #[getter]
    fn id(&self) -> &str {
        self.handle.id()
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.handle.binding().unwrap_or(0)
    }

    #[getter]
    fn closed(&self) -> bool {
        self.handle.ended().is_some()
    }

    /// The same session for calls that bind like that.
    fn with_affinity(&self, py: Python<'_>, affinity: &str) -> PyResult<Self> {
        let handle = self.handle.clone();
        let affinity = parsed(py, Some(affinity))?.unwrap_or(handle.affinity());
        Ok(Self { handle: handle.with_affinity(affinity), by_id: self.by_id })
    }
}

/// One row of the pool's sessions; see `_SessionRow` in the stub.
pub(super) type Row<'py> = (
    String,
    Option<(usize, u64)>,
    u64,
    u64,
    u32,
    f64,
    f64,
    Option<f64>,
    Option<f64>,
    Bound<'py, PyAny>,
);

/// The row of one session, if it is open.
pub(super) type Found<'py> = PyResult<Option<Row<'py>>>;

pub(super) fn row<'py>(py: Python<'py>, info: SessionInfo) -> PyResult<Row<'py>> {
    let metadata = match info.metadata.is_empty() {
        true => PyDict::new(py).into_any(),
        false => codec::decode(py, &info.metadata, "metadata")?,
    };
    Ok((
        info.id.to_string(),
        info.home.map(|home| (home.slot, home.generation)),
        info.generation,
        info.calls,
        info.in_flight,
        info.age.as_secs_f64(),
        info.idle.as_secs_f64(),
        info.ttl.map(|ttl| ttl.as_secs_f64()),
        info.ttl_left.map(|left| left.as_secs_f64()),
        metadata,
    ))
}
