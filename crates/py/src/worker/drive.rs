//! Drives the line for calls that run elsewhere: reads frames, sends what was said.
//!
//! The thread that does this never attaches to Python meanwhile, so neither a tool that computes nor
//! one that holds the interpreter in C keeps a reply of another call from its caller.

use pyo3::prelude::*;
use snakepit_proto::v1::HostFrame;
use snakepit_proto::v1::host_frame::Frame as FromHost;

use super::engine::Engine;
use super::floor::Floor;

/// Until the host drains and every call is answered (true), or the line ends (false).
pub(super) fn drive(py: Python<'_>, engine: &mut Engine, floor: &Floor) -> bool {
    let drained = py.detach(|| {
        floor.link.inbox.leave_to_driver();
        let mut draining = false;
        let drained = loop {
            // Before what was said is taken: whoever says his last word says it first.
            let idle = floor.is_idle();
            floor.hand_over();
            if draining && idle {
                break true;
            }
            match engine.frame_or_wake(&floor.wake) {
                None => {}
                Some(Ok(Some(HostFrame { frame: Some(FromHost::StartCall(start)) }))) => {
                    floor.arrived(start);
                }
                Some(Ok(Some(HostFrame { frame: Some(FromHost::BufferBytes(part)) }))) => {
                    floor.more(&part);
                }
                Some(Ok(Some(HostFrame { frame: Some(FromHost::EndSession(end)) }))) => {
                    floor.session_ended(end.session_generation);
                }
                Some(Ok(Some(HostFrame { frame: Some(FromHost::Drain(_)) }))) => draining = true,
                Some(Ok(Some(_))) => {} // for ends without a control socket, or from a newer host
                Some(Ok(None) | Err(_)) => break false,
            }
        };
        floor.close();
        drained
    });
    if drained {
        engine.drained(py);
    }
    drained
}
