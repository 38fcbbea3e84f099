//! The simulated Tryton, as the walk needs it.

use crate::walk::{Books, Sale};
use serde_json::{Value, json};
use spindel_model::{Clock, Decimal, Timestamp};
use spindel_simulators::tryton::{Options, TrytonSim};

pub struct Simulated {
    pub sim: TrytonSim,
    pub clock: Clock,
}

pub fn now() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

impl Simulated {
    pub async fn start() -> Self {
        let clock = Clock::manual(now());
        let sim = TrytonSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let it = Self { sim, clock };
        for at in 0..4 {
            it.sim.add_goods(&it.sku(at), "100");
        }
        for service in ["FRAKT", "AVRUNDING", "GEBYR"] {
            it.sim.add_service(service);
        }
        it
    }
}

impl Books for Simulated {
    fn settings(&self) -> Value {
        json!({ "url": self.sim.base_url(), "database": "hub", "user": "spindel", "password": "secret",
            "web_shop": self.sim.web_shop(), "warehouse": self.sim.warehouse(), "shipping_product": "FRAKT",
            "rounding_product": "AVRUNDING", "charge_product": "GEBYR" })
    }

    fn maps(&self) -> Value {
        let tax = self.sim.tax().to_string();
        json!({ "tax": { "NO/25/included": tax, "NO/25/excluded": tax }, "payment": { "vipps": self.sim.payment_method().to_string() } })
    }

    fn run(&self) -> String {
        String::new()
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn sku(&self, at: usize) -> String {
        format!("SKU-{at}")
    }

    async fn sale(&self, web_id: &str) -> Sale {
        let found = self.sim.sales(web_id);
        let times = found.len();
        let Some(sale) = found.into_iter().next() else {
            let (total, invoiced) = (Decimal::ZERO, Decimal::ZERO);
            let state = String::new;
            return Sale { state: state(), invoice_state: state(), shipment_state: state(), total, invoiced, times };
        };
        Sale {
            state: sale.state,
            invoice_state: sale.invoice_state,
            shipment_state: sale.shipment_state,
            total: sale.total,
            invoiced: sale.invoiced,
            times,
        }
    }

    async fn credited(&self, reference: &str) -> Decimal {
        let booked = self.sim.booked(reference);
        assert_eq!(booked.len(), 1, "{reference}");
        booked[0]
    }

    async fn receive(&self, sku: &str, pieces: i64) {
        self.sim.receive(sku, pieces);
    }

    async fn set_price(&self, sku: &str, price: &str) {
        self.sim.set_price(sku, price);
    }

    async fn ship(&self, web_id: &str, tracking: &str) {
        self.sim.ship(web_id, tracking);
    }

    async fn party(&self, code: &str) -> (String, String, String) {
        let party = self.sim.party(code).unwrap();
        let of = |kind: &str| {
            let values = party.contacts.iter().filter(|(it, _)| it == kind).map(|(_, value)| value.as_str());
            values.collect::<Vec<_>>().join(", ")
        };
        (party.name.clone(), of("email"), of("phone"))
    }
}
