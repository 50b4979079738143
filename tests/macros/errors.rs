//! Error types that aren't made for coalescing: without `Clone`, or without a place for a `JoinError`.

use std::{borrow::Cow, error::Error, fmt, io, sync::Arc, time::Duration};

use shardflight::{JoinError, SharedError, TryJoinError, coalesce};
use tokio::task::yield_now;

use crate::support::{limited, panic_quietly};

type AnyError = Box<dyn Error + Send + Sync>;

/// A foreign error, for the purposes of these tests: neither `Clone` nor made from anything.
#[derive(Debug, PartialEq)]
pub(crate) struct NoSuchUser(pub(crate) u32);

impl fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no user {}", self.0)
    }
}

impl Error for NoSuchUser {}

/// The errors of two calls that share a flight.
pub(crate) async fn both<T, E>(call: impl AsyncFn() -> Result<T, E>) -> (E, E) {
    let (one, other) = limited(async { tokio::join!(call(), call()) }).await;
    (one.map(drop).unwrap_err(), other.map(drop).unwrap_err())
}

#[tokio::test]
async fn anyhow_errors_are_shared() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, anyhow::Error> {
        yield_now().await;
        match id {
            0 => panic_quietly("no 0"),
            1 => Ok(id),
            _ => Err(anyhow::Error::new(NoSuchUser(id)).context("loading")),
        }
    }
    #[coalesce]
    async fn aliased(id: u32) -> anyhow::Result<u32> {
        yield_now().await;
        load_no_coalesce(id).await
    }

    assert_eq!(limited(load(1)).await.unwrap(), 1);
    let (one, other) = both(async || load(7).await).await;
    let alone = limited(load(7)).await.unwrap_err();
    for error in [&one, &other, &alone] {
        assert_eq!(format!("{error} {error:#}"), "loading loading: no user 7");
        assert_eq!(error.chain().count(), 2);
        assert_eq!(error.root_cause().downcast_ref(), Some(&NoSuchUser(7)));
        let shared = error.downcast_ref::<SharedError<anyhow::Error>>().expect("the original is inside");
        assert_eq!(shared.downcast_ref(), Some(&NoSuchUser(7)));
    }
    assert_eq!(load_stats().await.executions, 3);
    let (one, other) = both(async || aliased(7).await).await;
    assert_eq!((format!("{one:#}"), format!("{other:#}")), ("loading: no user 7".into(), "loading: no user 7".into()));
    let (one, other) = both(async || load(0).await).await;
    for error in [one, other] {
        assert!(matches!(error.downcast_ref(), Some(JoinError::Panicked(panic)) if panic.message() == "no 0"));
    }
}

#[tokio::test]
async fn boxed_errors_are_shared() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, Box<dyn Error + Send + Sync>> {
        yield_now().await;
        if id == 0 { Err("no 0".into()) } else { Err(Box::new(NoSuchUser(id))) }
    }

    let (one, other) = both(async || load(7).await).await;
    for error in [one, other] {
        assert_eq!(error.to_string(), "no user 7");
        assert!(error.downcast_ref::<SharedError<AnyError>>().unwrap().is::<NoSuchUser>());
    }
    assert_eq!(limited(load(0)).await.unwrap_err().to_string(), "no 0");
}

#[tokio::test(start_paused = true)]
async fn io_errors_keep_their_kind() {
    #[coalesce(max_flight_duration = 5)]
    async fn read(path: &str) -> io::Result<String> {
        yield_now().await;
        match path {
            "denied" => Err(io::Error::new(io::ErrorKind::PermissionDenied, NoSuchUser(7))),
            "slow" => std::future::pending().await,
            "broken" => panic_quietly("no"),
            path => Ok(std::fs::read_to_string(path)?),
        }
    }

    let (one, other) = both(async || read("/no/such/file").await).await;
    for error in [one, other] {
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.raw_os_error(), std::fs::read("/no/such/file").unwrap_err().raw_os_error());
    }
    let (one, other) = both(async || read("denied").await).await;
    let alone = limited(read("denied")).await.unwrap_err();
    for error in [one, other, alone] {
        assert_eq!((error.kind(), &*error.to_string()), (io::ErrorKind::PermissionDenied, "no user 7"));
        let original = error.get_ref().unwrap().downcast_ref::<Arc<io::Error>>().unwrap();
        assert!(original.get_ref().unwrap().is::<NoSuchUser>());
    }
    let broken = read("broken").await.unwrap_err();
    assert_eq!((broken.kind(), &*broken.to_string()), (io::ErrorKind::Other, "panicked: no"));
    let late = limited(read("slow")).await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    let late = late.get_ref().unwrap().downcast_ref::<JoinError>();
    assert_eq!(late, Some(&JoinError::TimedOut { after: Duration::from_secs(5) }));
}

#[tokio::test]
async fn text_is_an_error() {
    macro_rules! text {
        ($($name:ident: $text:ty, $panicked:expr);+) => {
            $({
                #[coalesce]
                async fn $name(id: u32) -> Result<u32, $text> {
                    yield_now().await;
                    if id == 0 { panic_quietly("no 0") } else { Err("no such user".into()) }
                }

                let (one, other) = both(async || $name(7).await).await;
                assert_eq!((&*one.to_string(), &*other.to_string()), ("no such user", "no such user"));
                assert_eq!(limited($name(0)).await.unwrap_err().to_string(), $panicked);
            })+
        };
    }

    text!(string: String, "panicked: no 0"; boxed: Box<str>, "panicked: no 0"; shared: Arc<str>, "panicked: no 0");
    text!(borrowed: &'static str, "panicked"; either: Cow<'static, str>, "panicked: no 0");
}

/// Without `Clone`, and with a place for what a call adds.
#[derive(Debug)]
enum LoadError {
    NoSuchUser,
    NoAnswer(JoinError),
}

impl From<JoinError> for LoadError {
    fn from(error: JoinError) -> Self {
        Self::NoAnswer(error)
    }
}

#[tokio::test]
async fn errors_in_an_arc_are_shared() {
    #[coalesce]
    async fn own(id: u32) -> Result<u32, Arc<LoadError>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Arc::new(LoadError::NoSuchUser)) }
    }
    #[coalesce]
    async fn any(id: u32) -> Result<u32, Arc<anyhow::Error>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Arc::new(NoSuchUser(id).into())) }
    }
    #[coalesce]
    async fn io(id: u32) -> Result<u32, Arc<io::Error>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Arc::new(io::ErrorKind::NotFound.into())) }
    }
    #[coalesce]
    async fn dynamic(id: u32) -> Result<u32, Arc<dyn Error + Send + Sync>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Arc::new(NoSuchUser(id))) }
    }
    #[coalesce]
    async fn text(id: u32) -> Result<u32, Arc<String>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Arc::new("no such user".to_string())) }
    }

    let (one, other) = both(async || own(7).await).await;
    assert!(Arc::ptr_eq(&one, &other) && matches!(*one, LoadError::NoSuchUser));
    assert!(matches!(*limited(own(0)).await.unwrap_err(), LoadError::NoAnswer(JoinError::Panicked(_))));
    let (one, other) = both(async || any(7).await).await;
    assert!(Arc::ptr_eq(&one, &other) && one.is::<NoSuchUser>());
    assert!(limited(any(0)).await.unwrap_err().is::<JoinError>());
    let (one, other) = both(async || io(7).await).await;
    assert!(Arc::ptr_eq(&one, &other) && one.kind() == io::ErrorKind::NotFound);
    assert_eq!(limited(io(0)).await.unwrap_err().to_string(), "panicked: no 0");
    let (one, other) = both(async || dynamic(7).await).await;
    assert!(Arc::ptr_eq(&one, &other) && one.is::<NoSuchUser>());
    assert!(limited(dynamic(0)).await.unwrap_err().is::<JoinError>());
    let (one, other) = both(async || text(7).await).await;
    assert!(Arc::ptr_eq(&one, &other) && **one == *"no such user");
    assert_eq!(*limited(text(0)).await.unwrap_err(), "panicked: no 0");
}

#[tokio::test]
async fn errors_in_a_box_are_cloned() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, Box<crate::results::Failure>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Box::new(crate::results::Failure::NoSuchUser)) }
    }

    let (one, other) = both(async || load(7).await).await;
    assert!(matches!((*one, *other), (crate::results::Failure::NoSuchUser, crate::results::Failure::NoSuchUser)));
    assert!(matches!(*limited(load(0)).await.unwrap_err(), crate::results::Failure::NoAnswer(JoinError::Panicked(_))));
}

#[tokio::test]
async fn an_error_may_take_its_own_arc() {
    #[derive(Debug)]
    enum Failure {
        Io(io::Error),
        NoAnswer(JoinError),
        Shared(Arc<Failure>),
    }
    impl From<JoinError> for Failure {
        fn from(error: JoinError) -> Self {
            Self::NoAnswer(error)
        }
    }
    impl From<Arc<Failure>> for Failure {
        fn from(error: Arc<Failure>) -> Self {
            Self::Shared(error)
        }
    }

    #[coalesce]
    async fn load(id: u32) -> Result<u32, Failure> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(Failure::Io(io::ErrorKind::NotFound.into())) }
    }

    let (one, other) = both(async || load(7).await).await;
    let alone = limited(load(7)).await.unwrap_err();
    for error in [one, other, alone] {
        assert!(
            matches!(&error, Failure::Shared(error) if matches!(&**error, Failure::Io(io) if io.kind() == io::ErrorKind::NotFound)),
            "{error:?}"
        );
    }
    assert!(matches!(limited(load(0)).await.unwrap_err(), Failure::NoAnswer(JoinError::Panicked(_))));
}

#[tokio::test]
async fn the_shared_error_may_be_returned_as_it_is() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, TryJoinError<Arc<NoSuchUser>>> {
        yield_now().await;
        if id == 0 { panic_quietly("no 0") } else { Err(TryJoinError::Work(Arc::new(NoSuchUser(id)))) }
    }

    let (one, other) = both(async || load(7).await).await;
    assert_eq!((one.work().map(|error| error.0), one), (Some(7), other));
    assert!(matches!(limited(load(0)).await, Err(TryJoinError::Join(JoinError::Panicked(_)))));
}

/// A method of a generic type knows its error by bounds alone.
#[tokio::test]
async fn an_error_may_be_a_type_parameter() {
    #[derive(Clone)]
    struct Store<E>(std::marker::PhantomData<E>);
    impl<E: Clone + From<JoinError> + fmt::Debug + Send + Sync + 'static> Store<E> {
        #[coalesce(skip(self))]
        async fn load(&self) -> Result<u32, E> {
            panic_quietly("no")
        }
        #[coalesce(skip(self))]
        async fn in_an_arc(&self) -> Result<u32, Arc<E>> {
            panic_quietly("no")
        }
    }

    let store = Store::<JoinError>(std::marker::PhantomData);
    assert!(matches!(limited(store.load()).await, Err(JoinError::Panicked(_))));
    assert!(matches!(*limited(store.in_an_arc()).await.unwrap_err(), JoinError::Panicked(_)));
}
