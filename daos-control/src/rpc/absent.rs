//! Methods that this server does not have yet: each answers Unimplemented, which stock clients take as final.

/// Answers Unimplemented for each method. Stands inside the implementation of a generated service trait.
macro_rules! absent {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(
            fn $method<'life, 'call>(
                &'life self,
                _request: tonic::Request<$request>,
            ) -> std::pin::Pin<
                Box<dyn Future<Output = crate::rpc::gate::Reply<$response>> + Send + 'call>,
            >
            where
                'life: 'call,
                Self: 'call,
            {
                let text = concat!(stringify!($method), " is not available on this server");
                Box::pin(std::future::ready(Err(tonic::Status::unimplemented(text))))
            }
        )*
    };
}
pub(super) use absent;
