//! From settings to the desks that answer checkouts.

use arc_swap::ArcSwap;
use spindel_connect::{Connection, Proof, Secret};
use spindel_engine::Wiring;
use spindel_rates::{Ask, Carrier, Desk, Fallback, FindDesk};
use std::{collections::HashMap, sync::Arc};

/// Today's desks, by name.
#[derive(Default)]
pub struct Desks(ArcSwap<HashMap<String, Place>>);

struct Place {
    desk: Arc<Desk>,
    shop: Option<Arc<dyn Connection>>,
    token: Option<Secret>,
}

impl Desks {
    /// Sets up what the settings say, in place of what was there.
    pub fn set(&self, rates: Vec<spindel_config::Rates>, wiring: &Wiring) {
        self.0.store(Arc::new(rates.into_iter().map(|it| (it.name.clone(), place(it, wiring))).collect()));
    }

    /// `origin`: scheme and authority of `server.public_url`.
    pub fn finder(self: &Arc<Self>, origin: String) -> FindDesk {
        let desks = Arc::clone(self);
        Arc::new(move |name| {
            let places = desks.0.load();
            let place = places.get(name)?;
            let plain = place.token.as_ref().map(|token| Proof::SharedToken {
                header: "authorization".into(),
                tokens: vec![Secret::new(format!("Bearer {}", token.expose()))],
            });
            Some(Ask { desk: Arc::clone(&place.desk), shop: place.shop.clone(), plain, origin: origin.clone() })
        })
    }
}

fn place(rates: spindel_config::Rates, wiring: &Wiring) -> Place {
    let carriers = rates.carriers.iter().filter_map(|name| {
        let account = wiring.account(name)?;
        Some(Carrier::new(name, Arc::clone(&account.connection), account.api.clone()))
    });
    let row = |it: spindel_config::RateTable| Fallback {
        service: it.service,
        title: it.title,
        price: it.price,
        countries: it.countries,
        up_to_grams: it.up_to_grams,
        days: it.days,
    };
    let fallback = rates.fallback.into_iter().map(row).collect();
    Place {
        desk: Arc::new(Desk::new(carriers.collect(), rates.deadline, rates.keep, fallback)),
        shop: wiring.account(&rates.name).map(|account| Arc::clone(&account.connection)),
        token: rates.token,
    }
}
