//! How large a body may be and how long it may take. A body that says that it is too large is
//! refused unread; one that does not say is counted while it is read, and cut off.

use std::{io, pin::pin, time::Duration};

use futures_util::{StreamExt, stream};
use poem::{Body, Request, http::header};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{codes, problem::Problem};

/// The most bytes of a body: 1 MiB.
pub const LARGEST_BODY: usize = 1 << 20;

/// Bytes around a file that comes as a part of a form.
const AROUND_A_FILE: usize = 16 << 10;

/// Where bodies are files.
const FILE_PATHS: [&str; 2] = ["/v1/application/files", "/apply/files"];

/// The most bytes of a body at that address, where a file may have `file` bytes.
pub fn largest_at(path: &str, file: u32) -> usize {
    let file = usize::try_from(file).unwrap_or(usize::MAX);
    if FILE_PATHS.contains(&path) {
        return file.saturating_add(AROUND_A_FILE);
    }
    LARGEST_BODY
}

/// The longest that a body may take from its first byte to its last.
pub const SLOWEST_BODY: Duration = Duration::from_secs(30);

/// Why reading a body was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyFault {
    /// More than may come at its address.
    #[error("the body is too large")]
    TooLarge,
    /// Longer than [`SLOWEST_BODY`].
    #[error("the body took too long")]
    TooSlow,
}

/// Refuses a request whose body is announced as too large, and puts a counter and a clock on the
/// body of every other.
///
/// # Errors
/// `body-too-large`.
pub fn guard(request: &mut Request, largest: usize, slowest: Duration) -> Result<(), Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.map(|length| {
        let length = length.to_str().ok();
        length.and_then(|length| length.parse::<usize>().ok())
    });
    match announced {
        // Neither a length nor a chunked body: there is no body, whatever the method.
        None if !request.headers().contains_key(header::TRANSFER_ENCODING) => return Ok(()),
        Some(Some(0)) => return Ok(()),
        Some(Some(length)) if length <= largest => {}
        Some(_) => return Err(Problem::of(&codes::BODY_TOO_LARGE)),
        None => {}
    }
    let body = counted(request.take_body(), largest, slowest);
    request.set_body(body);
    Ok(())
}

/// The same body, which fails at its limits.
fn counted(body: Body, largest: usize, slowest: Duration) -> Body {
    let deadline = Instant::now() + slowest;
    let chunks = Box::pin(body.into_bytes_stream());
    let counted = stream::try_unfold((chunks, largest), move |(mut chunks, left)| async move {
        let next = pin!(chunks.next());
        let chunk = timeout_at(deadline, next)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, BodyFault::TooSlow))?;
        let Some(chunk) = chunk.transpose()? else {
            return Ok::<_, io::Error>(None);
        };
        match left.checked_sub(chunk.len()) {
            Some(left) => Ok(Some((chunk, (chunks, left)))),
            None => Err(io::Error::other(BodyFault::TooLarge)),
        }
    });
    Body::from_bytes_stream(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::StatusCode;

    fn request(headers: &[(header::HeaderName, &str)], body: Body) -> Request {
        let builder = headers
            .iter()
            .fold(Request::builder(), |builder, (name, value)| {
                builder.header(name.clone(), *value)
            });
        builder.body(body)
    }

    fn endless() -> Body {
        let chunk = || Ok::<_, io::Error>(vec![b'x'; 4096]);
        Body::from_bytes_stream(stream::repeat_with(chunk))
    }

    #[tokio::test]
    async fn an_announced_giant_is_refused_unread() {
        let mut giant = request(&[(header::CONTENT_LENGTH, "314572800")], endless());
        let problem = guard(&mut giant, LARGEST_BODY, SLOWEST_BODY).unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let mut absurd = request(
            &[(header::CONTENT_LENGTH, "99999999999999999999999")],
            endless(),
        );
        assert!(guard(&mut absurd, LARGEST_BODY, SLOWEST_BODY).is_err());
    }

    #[tokio::test]
    async fn a_chunked_giant_is_cut_off_at_the_limit() {
        let mut giant = request(&[(header::TRANSFER_ENCODING, "chunked")], endless());
        guard(&mut giant, LARGEST_BODY, SLOWEST_BODY).unwrap();
        let error = giant.take_body().into_bytes().await.unwrap_err();
        assert_eq!(Problem::from(&error).kind(), &codes::BODY_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_at_the_limit_passes_and_none_needs_no_length() {
        let body = Body::from_vec(vec![b'x'; LARGEST_BODY]);
        let mut exact = request(&[(header::CONTENT_LENGTH, "1048576")], body);
        guard(&mut exact, LARGEST_BODY, SLOWEST_BODY).unwrap();
        let read = exact.take_body().into_bytes().await.unwrap();
        assert_eq!(read.len(), LARGEST_BODY);
        let mut get = request(&[], Body::empty());
        guard(&mut get, LARGEST_BODY, SLOWEST_BODY).unwrap();
    }

    #[tokio::test]
    async fn a_body_that_dawdles_is_given_up() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, io::Error>(vec![b'x']), ()))
        });
        let body = Body::from_bytes_stream(drip);
        let mut slow = request(&[(header::CONTENT_LENGTH, "1000")], body);
        guard(&mut slow, LARGEST_BODY, Duration::from_millis(60)).unwrap();
        let error = slow.take_body().into_bytes().await.unwrap_err();
        assert_eq!(Problem::from(&error).kind(), &codes::REQUEST_TIMEOUT);
    }
}
