//! Where this worker goes wrong when its host's test says so: nowhere without the feature.

/// A place that a plan can name; see `snakepit::failpoint`.
#[derive(Clone, Copy, Debug)]
pub enum Point {
    Exec,
    Dial,
    Warmup,
    Take,
    Decode,
    Run,
    Encode,
    Answer,
    Item,
    Ack,
    Shutdown,
}

/// Reads what the host has handed on.
pub fn arm() {
    #[cfg(feature = "failpoints")]
    snakepit::failpoint::arm_from_environment().expect("a plan that the host has read");
}

/// Passes a place with the whole thread. True: it is to fail in its own way.
#[cfg(feature = "failpoints")]
pub fn fails(point: Point) -> bool {
    use snakepit::failpoint;
    let point = match point {
        Point::Exec => failpoint::Point::Exec,
        Point::Dial => failpoint::Point::Dial,
        Point::Warmup => failpoint::Point::Warmup,
        Point::Take => failpoint::Point::Take,
        Point::Decode => failpoint::Point::Decode,
        Point::Run => failpoint::Point::Run,
        Point::Encode => failpoint::Point::Encode,
        Point::Answer => failpoint::Point::Answer,
        Point::Item => failpoint::Point::Item,
        Point::Ack => failpoint::Point::Ack,
        Point::Shutdown => failpoint::Point::Shutdown,
    };
    failpoint::check(point).is_err()
}

/// Nothing fails.
#[cfg(not(feature = "failpoints"))]
pub fn fails(_: Point) -> bool {
    false
}
