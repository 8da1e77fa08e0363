//! A day at the tills of one mall, over real sockets.

use std::{net::SocketAddr, ops::Deref, sync::Arc};

use rotunda::{
    app::App,
    authz::{action::VerifyBooks, actor::Principal},
    cli,
    http::listen,
    reports::proof::prove,
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    app,
    till::{Opened, Till},
};

/// A server with one mall, one store and a till's key.
pub struct Day {
    pub app: App,
    pub opened: Opened,
    pub till: Till,
    pub other_till: Till,
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _served: JoinHandle<()>,
}

impl Deref for Day {
    type Target = Till;
    fn deref(&self) -> &Till {
        &self.till
    }
}

impl Day {
    pub async fn begin() -> Arc<Self> {
        let app = app().await;
        let opened = Opened::by(&app).await;
        let listener = listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn({
            let app = app.clone();
            async move {
                let until = async move { drop(stopped.await) };
                listen::serve(&app, listener, cli::endpoint(&app), until).await;
            }
        });
        let key = opened.key(&app, "machine.erp").await;
        let till = Till::new(address, &opened.host, key).enters().await;
        let other_till = Till {
            key: opened.key(&app, "machine.erp").await,
            ..till.clone()
        };
        Arc::new(Self {
            app,
            opened,
            till,
            other_till,
            address,
            _stop: stop,
            _served: served,
        })
    }

    /// That the mall's books hold.
    pub async fn prove(&self) {
        let who = Principal::platform(Some(self.opened.mall.tenant.id));
        let grant = self.app.policy.allow::<VerifyBooks>(&who).unwrap();
        let mut tx = self.app.db.read(&grant).await.unwrap();
        for check in prove(&mut tx, &grant).await.unwrap() {
            assert!(check.holds, "{check:?}");
        }
    }
}
