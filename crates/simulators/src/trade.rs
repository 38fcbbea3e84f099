//! Simulated vendors of a shop's day put together: the config that joins them, and the account that compares all ends
//! without asking who stands between them.

use crate::{
    account::{Account, Money, Parcels},
    pair::{self, RETRY},
    roles::{Carrier, Erp, Manners, Provider, Shop, Till, Vendor},
};
use std::{io, net::SocketAddr, path::Path};

pub struct Trade {
    pub shop: Box<dyn Shop>,
    pub erp: Box<dyn Erp>,
    /// Holds the buyers' money until their goods are sent; without one the shop takes it by itself.
    pub provider: Option<Box<dyn Provider>>,
    pub carrier: Option<Box<dyn Carrier>>,
}

/// All accounts of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    pub orders: Account,
    pub money: Option<Money>,
    pub parcels: Option<Parcels>,
}

impl Accounts {
    pub fn is_clean(&self) -> bool {
        self.orders.is_clean()
            && self.money.as_ref().is_none_or(Money::is_clean)
            && self.parcels.as_ref().is_none_or(Parcels::is_clean)
    }
}

impl Trade {
    pub fn till(&self) -> Till<'_> {
        self.provider.as_deref().map_or(Till::Shop, Till::Provider)
    }

    /// Only shop and ERP.
    pub fn is_plain(&self) -> bool {
        self.provider.is_none() && self.carrier.is_none()
    }

    /// Webhooks of the vendors go to these nodes, `http://host:port`.
    pub fn tell(&self, nodes: &[String]) {
        for (name, vendor) in self.vendors() {
            let addresses: Vec<String> = nodes.iter().map(|node| format!("{node}/in/{name}")).collect();
            vendor.tell(&addresses);
        }
    }

    /// Writes a config that joins all into `folder`, with the secrets in files beside it.
    pub fn write_config(&self, folder: &Path, listen: SocketAddr, backends: &str) -> io::Result<()> {
        let text = config(folder, listen, backends, &self.vendors(), &self.flows())?;
        std::fs::write(folder.join("spindel.toml"), text)
    }

    fn vendors(&self) -> Vec<(&'static str, &dyn Vendor)> {
        let mut all: Vec<(&'static str, &dyn Vendor)> = vec![("shop", &*self.shop), ("erp", &*self.erp)];
        all.extend(self.provider.as_ref().map(|it| -> (&'static str, &dyn Vendor) { ("payments", &**it) }));
        all.extend(self.carrier.as_ref().map(|it| -> (&'static str, &dyn Vendor) { ("carrier", &**it) }));
        all
    }

    fn flows(&self) -> String {
        let manners = self.shop.manners();
        let polled = if manners.refunds_are_polled { POLLED } else { "" };
        let mut flows = pair::FLOWS.replace("do = \"record_refund\"\n", &format!("do = \"record_refund\"\n{polled}"));
        if self.provider.is_some() {
            flows += &money_flows(manners, polled);
        }
        if self.carrier.is_some() {
            flows += &parcel_flows(manners, self.till());
        }
        flows
    }

    /// Compares what the shop says with what the others have.
    pub fn accounts(&self) -> Accounts {
        let sold = self.shop.orders();
        Accounts {
            orders: Account::of(&sold, self.erp.orders()),
            money: self.provider.as_ref().map(|it| Money::of(&sold, it.payments())),
            parcels: self.carrier.as_ref().map(|it| Parcels::of(&sold, &it.parcels())),
        }
    }
}

const POLLED: &str = "every = \"1s\"\n";

/// What was sent is captured, what was cancelled let go, what came back given back.
fn money_flows(manners: Manners, polled: &str) -> String {
    let trust = if manners.payment_is_read_back { "trust = \"refetch\"\n" } else { "" };
    let complete = if manners.one_word_for_all {
        "on = [\"order.updated\", \"order.paid\", \"order.fulfilled\"]\nwhen = { fulfilment_state = \"fulfilled\" }"
    } else {
        "on = [\"order.fulfilled\"]"
    };
    let came_back = manners.came_back.map(|it| format!("when = {it}\n")).unwrap_or_default();
    format!(
        r#"
[flows.capture]
from = "shop"
{complete}
to = "payments"
do = "capture_payment"
{trust}{RETRY}
[flows.let_go]
from = "shop"
on = ["order.cancelled"]
to = "payments"
do = "cancel_payment"
{trust}{RETRY}
[flows.give_back]
from = "shop"
on = ["refund.created"]
to = "payments"
do = "refund"
{polled}{came_back}{RETRY}"#
    )
}

const TO_SEND: &str = "cancelled_at = { exists = false }, payment_state = { in = [\"authorized\", \"paid\"] }, \
                       fulfilment_state = \"unfulfilled\"";

/// What is paid is booked, unless the buyer thinks better of it at once; what is booked is marked as sent, and the buyer sees
/// where it is.
fn parcel_flows(manners: Manners, till: Till<'_>) -> String {
    let ready = match (manners.one_word_for_all, till.is_provider()) {
        (true, _) => "\"order.created\", \"order.updated\", \"order.paid\"",
        // What is only held is never told as paid.
        (false, true) => "\"order.created\"",
        (false, false) => "\"order.paid\"",
    };
    format!(
        r#"
[flows.booking]
from = "shop"
on = [{ready}]
to = "carrier"
do = "book_shipment"
lag = "1s"
trust = "refetch"
when = {{ {TO_SEND} }}
{RETRY}
[flows.sent]
from = "carrier"
on = ["shipment.created"]
to = "shop"
do = "create_fulfilment"
{RETRY}
[flows.tracking]
from = "carrier"
on = ["shipment.updated"]
to = "shop"
do = "record_tracking"
every = "5s"
{RETRY}"#
    )
}

/// A config that joins these vendors under these names.
pub(crate) fn config(
    folder: &Path,
    listen: SocketAddr,
    backends: &str,
    vendors: &[(&str, &dyn Vendor)],
    flows: &str,
) -> io::Result<String> {
    let mut text =
        format!("[server]\nlisten = \"{listen}\"\nadmin = \"off\"\n\n{backends}\n\n[outbound]\nallow = [\"127.0.0.0/8\"]\n");
    for (name, vendor) in vendors {
        let joint = vendor.join(folder)?;
        let connector = vendor.connector();
        text += &format!("\n[connections.{name}]\nconnector = \"{connector}\"\n{}", joint.settings);
        for (part, keys) in joint.parts {
            text += &format!("\n[connections.{name}.{part}]\n{keys}");
        }
        if !joint.tables.is_empty() {
            text += &format!("\n{}", joint.tables);
        }
    }
    Ok(text + "\n" + flows)
}
