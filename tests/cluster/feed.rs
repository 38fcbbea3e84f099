//! Orders that go on being placed while a test disturbs those who carry them.

use spindel_simulators::pair::Pair;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

pub struct Feed {
    orders: usize,
    placed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Feed {
    pub fn start(pair: Arc<Pair>, orders: usize, every: Duration) -> Self {
        let (count, placed) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut clock = tokio::time::interval(every);
            for number in 1..=orders {
                clock.tick().await;
                pair.shop.place_random_order().unwrap();
                count.send_replace(number);
            }
        });
        Self { orders, placed, task }
    }

    /// Waits until so many percent of the orders are placed.
    pub async fn reached(&mut self, percent: usize) {
        let wanted = self.orders * percent / 100;
        self.placed.wait_for(|placed| *placed >= wanted).await.unwrap();
    }

    pub async fn done(&self) {
        let wanted = self.orders;
        self.placed.clone().wait_for(|placed| *placed >= wanted).await.unwrap();
    }

    /// Waits until all are placed, and answers how many.
    pub async fn end(self) -> usize {
        self.task.await.unwrap();
        self.orders
    }
}
