//! The builder's options about the key, and about who may share.

use std::sync::Arc;

use http::{HeaderName, request};

use super::{builder::CoalesceLayerBuilder, config::KeyPart};

impl CoalesceLayerBuilder {
    /// Takes headers out of the key, as they don't change any response of the service. Names are strings or [`HeaderName`]s, in
    /// any case. Repeated calls add to the list; of `ignore`, [`vary`](Self::vary), [`only`](Self::only) and
    /// [`credentials`](Self::credentials), the last one that names a header counts.
    ///
    /// **Requests that differ in an ignored header share a response**, unless the response's `Vary` names the header, or its
    /// `Content-Encoding` or `Content-Language` implies it. If you ignore a header that carries credentials, such as `Cookie`,
    /// requests with it no longer pass through: you say that no response depends on it. For single cookies, there is
    /// [`ignore_cookies`](Self::ignore_cookies).
    ///
    /// At the level `DEBUG`, the event `header kept requests apart` names a header that did so.
    ///
    /// # Default
    ///
    /// The headers of [this list](crate::tower#headers-that-are-ignored).
    ///
    /// # Panics
    ///
    /// If a name is not a valid name of a header.
    #[track_caller]
    pub fn ignore(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.config.key_headers.ignore(header_names(names));
        self
    }

    /// Takes cookies out of the key, as they don't change any response of the service: those of analytics, for instance. Names
    /// are compared with their case. A request that has no other cookies and no other credentials is coalesced. Repeated calls
    /// add to the list.
    ///
    /// A `Cookie` header that contains quotes is left as it is, because parsers differ in how they read it.
    ///
    /// # Default
    ///
    /// None.
    pub fn ignore_cookies(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names = names.into_iter().map(|name| name.as_ref().as_bytes().into());
        self.config.key_headers.ignore_cookies(names);
        self
    }

    /// Reduces the key's headers to these and to those that
    /// [belong to the target](crate::tower#what-is-in-the-key), such as `Host`. Names are strings or [`HeaderName`]s, in any
    /// case. Repeated calls add to the list.
    ///
    /// **Requests that differ in any other header share a response**, unless the response's `Vary` names the header, or its
    /// `Content-Encoding` or `Content-Language` implies it. Credentials that you don't name are still kept apart: a request with
    /// them passes through, or has them in its key if it has a principal.
    ///
    /// # Default
    ///
    /// All headers are in the key, except those that are [ignored](Self::ignore).
    ///
    /// # Panics
    ///
    /// If a name is not a valid name of a header.
    #[track_caller]
    pub fn only(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.config.key_headers.include_only(header_names(names));
        self
    }

    /// Adds headers to the key that are ignored by default, such as `User-Agent`, or that carry credentials: requests with named
    /// credentials are coalesced per value instead of passed through. Names are strings or [`HeaderName`]s, in any case.
    /// Repeated calls add to the list.
    ///
    /// # Default
    ///
    /// None.
    ///
    /// # Panics
    ///
    /// If a name is not a valid name of a header.
    #[track_caller]
    pub fn vary(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.config.key_headers.include(header_names(names));
        self
    }

    /// Adds headers that carry credentials: requests with one of them pass through, unless you named it with
    /// [`vary`](Self::vary) or [`only`](Self::only), or there is a principal. Names are strings or [`HeaderName`]s, in any case.
    /// Repeated calls add to the list.
    ///
    /// # Default
    ///
    /// `Authorization`, `Proxy-Authorization`, `Cookie` and the others of
    /// [this list](crate::tower#headers-that-carry-credentials).
    ///
    /// # Panics
    ///
    /// If a name is not a valid name of a header.
    #[track_caller]
    pub fn credentials(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.config.key_headers.add_credentials(header_names(names));
        self
    }

    /// Names the principal that a request is made for. `Some` becomes a part of the key, and requests with credentials no longer
    /// pass through: the request is coalesced with requests of the same principal and the same credentials only. With `None`, a
    /// request passes through if it carries credentials, and is coalesced as an anonymous one otherwise.
    ///
    /// The request's extensions are available, too, for clients that are known by a certificate or an address, and for
    /// authentication above the layer that removes the credentials.
    ///
    /// **Clients with the same principal share responses.** Two principals must never have the same bytes: if one has several
    /// parts, separate them by bytes that can't occur in any part. And return an *authenticated* name only: a client can send
    /// any name, and nothing below the layer checks a request that follows.
    ///
    /// # Default
    ///
    /// No request has a principal.
    pub fn principal<P: AsRef<[u8]>>(
        self,
        principal: impl Fn(&request::Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.principal_from([] as [HeaderName; 0], principal)
    }

    /// Like [`principal`](Self::principal), with the headers that the principal stands for: if a request has a principal, they
    /// are not in its key. So requests of one principal share although their tokens differ. All other credentials keep requests
    /// apart as before. Replaces an earlier `principal` or `principal_from`.
    ///
    /// Name a header only if responses depend on nothing in it but the principal: not on the scopes of a token, for instance.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{header, request::Parts};
    /// use shardflight::tower::CoalesceLayer;
    ///
    /// /// Inserted by the authentication above the layer.
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let user = |request: &Parts| request.extensions.get::<User>().map(|User(name)| name.clone());
    /// let layer = CoalesceLayer::builder().principal_from([header::AUTHORIZATION], user).build();
    /// ```
    ///
    /// # Panics
    ///
    /// If a name is not a valid name of a header.
    #[track_caller]
    pub fn principal_from<P: AsRef<[u8]>>(
        mut self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
        principal: impl Fn(&request::Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.config.key_headers.account_for(header_names(names));
        self.config.principal = Some(key_part(principal));
        self
    }

    /// Also shares responses that are `Cache-Control: private`, among requests of the same principal. All else that a response
    /// can say against being shared still counts: `no-store`, `no-cache`, `Set-Cookie`.
    ///
    /// # Default
    ///
    /// `private` responses go to their leader only, also if the request has a principal.
    pub fn share_private_within_principal(mut self) -> Self {
        self.config.shares_private_within_principal = true;
        self
    }

    /// Gives requests a key of your own. `Some` **stands for the query** in the key, so that the order of its parameters need not
    /// matter, and says that the request may be coalesced although it is a POST, or asks for a range, or is conditional. All else
    /// stays in the key: the method, the path, the headers that aren't ignored, and the principal; a range and conditions are in
    /// it whatever you ignore. With `None`, a request is treated as without this option.
    ///
    /// PUT, PATCH, DELETE, OPTIONS and TRACE pass through in any case, and so do requests with a body, unless a
    /// [`ReadBodyLayer`](crate::tower::ReadBodyLayer) above this layer has read it: then it is in the key as well.
    ///
    /// **Return `Some` for reads only.** A POST that writes, and that another one follows, is executed once.
    ///
    /// # Examples
    ///
    /// The order of a query's parameters does not matter:
    ///
    /// ```
    /// use http::{Method, request::Parts};
    /// use shardflight::tower::CoalesceLayer;
    ///
    /// fn sorted(request: &Parts) -> Option<String> {
    ///     if request.method != Method::GET {
    ///         return None;
    ///     }
    ///     let mut parameters: Vec<_> = request.uri.query()?.split('&').collect();
    ///     parameters.sort_unstable();
    ///     Some(parameters.join("&"))
    /// }
    ///
    /// let layer = CoalesceLayer::builder().key_by(sorted).build();
    /// ```
    ///
    /// # Default
    ///
    /// No request has a key of its own.
    pub fn key_by<P: AsRef<[u8]>>(
        mut self,
        key: impl Fn(&request::Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.config.key_by = Some(key_part(key));
        self
    }
}

fn key_part<P: AsRef<[u8]>>(part: impl Fn(&request::Parts) -> Option<P> + Send + Sync + 'static) -> KeyPart {
    Arc::new(move |parts| part(parts).map(|part| part.as_ref().into()))
}

#[track_caller]
fn header_names(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<HeaderName> {
    let mut parsed = Vec::new();
    for name in names {
        let name = name.as_ref();
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            panic!("{name:?} is not a valid name of a header");
        };
        parsed.push(name);
    }
    parsed
}
