//! Who plays in the demo: the simulated vendors that the command line chooses.

use crate::cli::DemoArgs;
use clap::ValueEnum;
use serde::Serialize;
use spindel_simulators::{
    bring::{self, BringSim},
    klarna::{self, KlarnaSim},
    odoo::OdooSim,
    roles::{Carrier, Erp, Goods, Provider, Shop},
    shipmondo::{self, ShipmondoSim},
    shopify::{self, ShopifySim},
    stripe::{self, StripeSim},
    trade::Trade,
    vipps::{self, VippsSim},
    woocommerce::{self, WoocommerceSim},
};
use std::io;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ShopKind {
    #[default]
    Shopify,
    Woocommerce,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ErpKind {
    #[default]
    Odoo,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentsKind {
    /// The shop takes and returns the money by itself
    #[default]
    None,
    Stripe,
    Klarna,
    Vipps,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ShippingKind {
    /// Nothing is booked; where a payment provider takes part, somebody packs by hand
    #[default]
    None,
    Bring,
    Shipmondo,
}

/// Names for the report.
#[derive(Clone, Copy, Serialize)]
pub struct Cast {
    pub shop: ShopKind,
    pub erp: ErpKind,
    pub payments: PaymentsKind,
    pub shipping: ShippingKind,
}

impl Cast {
    pub fn of(args: &DemoArgs) -> Self {
        Self { shop: args.shop, erp: args.erp, payments: args.payments, shipping: args.shipping }
    }

    /// For people: `a simulated shop (Shopify), …`.
    pub fn shown(&self) -> String {
        let shop = match self.shop {
            ShopKind::Shopify => "Shopify",
            ShopKind::Woocommerce => "WooCommerce",
        };
        let erp = match self.erp {
            ErpKind::Odoo => "Odoo",
        };
        let payments = match self.payments {
            PaymentsKind::None => None,
            PaymentsKind::Stripe => Some("Stripe"),
            PaymentsKind::Klarna => Some("Klarna"),
            PaymentsKind::Vipps => Some("Vipps MobilePay"),
        };
        let shipping = match self.shipping {
            ShippingKind::None => None,
            ShippingKind::Bring => Some("Bring"),
            ShippingKind::Shipmondo => Some("Shipmondo"),
        };
        let all: Vec<&str> = [Some(shop), payments, shipping].into_iter().flatten().collect();
        format!("a simulated {} and a simulated {erp}", all.join(", a simulated "))
    }

    /// Starts the vendors.
    pub async fn start(&self, seed: u64) -> io::Result<Trade> {
        let shop = self.shop(seed).await?;
        let erp = self.erp(&shop.goods()).await?;
        Ok(Trade { shop, erp, provider: self.provider(seed).await?, carrier: self.carrier().await? })
    }

    async fn shop(&self, seed: u64) -> io::Result<Box<dyn Shop>> {
        Ok(match self.shop {
            ShopKind::Shopify => {
                let options = shopify::Options { seed, concurrency: 16, ..shopify::Options::plus() };
                Box::new(ShopifySim::start(options).await?)
            }
            ShopKind::Woocommerce => Box::new(WoocommerceSim::start(woocommerce::Options::default()).await?),
        })
    }

    async fn erp(&self, goods: &[Goods]) -> io::Result<Box<dyn Erp>> {
        Ok(match self.erp {
            ErpKind::Odoo => Box::new(OdooSim::with_goods(goods).await?),
        })
    }

    async fn provider(&self, seed: u64) -> io::Result<Option<Box<dyn Provider>>> {
        Ok(match self.payments {
            PaymentsKind::None => None,
            PaymentsKind::Stripe => {
                Some(Box::new(StripeSim::start(stripe::Options { seed, ..stripe::Options::default() }).await?))
            }
            PaymentsKind::Klarna => {
                Some(Box::new(KlarnaSim::start(klarna::Options { seed, ..klarna::Options::default() }).await?))
            }
            PaymentsKind::Vipps => Some(Box::new(VippsSim::start(vipps::Options { seed, ..vipps::Options::default() }).await?)),
        })
    }

    async fn carrier(&self) -> io::Result<Option<Box<dyn Carrier>>> {
        Ok(match self.shipping {
            ShippingKind::None => None,
            ShippingKind::Bring => Some(Box::new(BringSim::start(bring::Options::default()).await?)),
            ShippingKind::Shipmondo => Some(Box::new(ShipmondoSim::start(shipmondo::Options::default()).await?)),
        })
    }
}
