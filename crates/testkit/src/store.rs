//! The behaviour suite of stores: `store_suite!(open())`, where `open` is an async function that gives a fresh
//! `Arc<dyn Store>` and something to keep alive while it is used. Knows no database.
#![allow(clippy::unwrap_used)]

pub mod deliver;
pub mod fixture;
pub mod intake;
pub mod lanes;
pub mod model;
pub mod notes;
pub mod people;
pub mod plan;
pub mod race;
pub mod upkeep;

/// Tests that hold for every store, one `#[tokio::test]` each.
#[macro_export]
macro_rules! store_suite {
    ($open:expr) => {
        $crate::store_suite! { @cases $open;
            deliver {
                a_claim_brings_all_that_is_needed
                a_delivery_is_claimed_once_however_many_ask
                nothing_is_claimed_before_its_time_or_for_another_destination
                an_outdated_fence_changes_nothing
                a_lease_that_ran_out_is_found
                a_dead_nodes_leases_are_found_at_once
                a_heartbeat_prolongs_only_what_is_held
                in_doubt_is_claimed_again_to_be_looked_up
                a_batch_is_filled_with_the_oldest_of_the_same_flow_and_action
                a_lost_announcement_is_repeated
                after_the_queue_was_lost_everything_due_is_announced_again
                waking_says_whether_there_is_more
                the_version_guard_only_moves_forward
                a_link_is_known_in_both_directions
                a_link_follows_the_newest_word
                attempts_are_kept_with_their_exchanges
                the_time_of_the_first_try_survives_retries
            }
            intake {
                an_event_comes_back_as_it_came
                a_repeated_event_is_counted_and_has_no_second_effect
                the_same_key_at_another_connection_is_another_event
                a_page_is_committed_with_its_cursor
                refused_requests_are_listed_newest_first
                events_are_filtered_and_paged
                following_along_sees_what_came_after
                an_event_is_found_until_it_is_planned
                many_at_once_are_all_kept
            }
            lanes {
                the_second_of_a_lane_waits_and_moves_up
                lanes_do_not_hold_each_other_back
                an_older_version_goes_before_one_that_is_only_due
                nobody_overtakes_what_was_sent
                equal_versions_go_by_arrival
                a_retry_keeps_its_place
                a_retry_lets_an_older_version_go_first
                a_paused_head_holds_its_lane
                a_state_to_be_sent_again_yields_to_a_newer_one
                of_state_only_the_newest_is_left
                an_older_state_is_superseded_on_arrival
                a_state_that_is_under_way_is_never_superseded
                orders_are_never_coalesced
                ten_thousand_changes_to_a_hundred_items_leave_a_hundred
            }
            model {
                any_interleaving_agrees_with_the_model
            }
            notes {
                a_plan_notes_what_its_event_said
                an_older_word_changes_no_note
                notes_are_read_by_pages_and_by_when_they_are_due
                old_notes_are_forgotten
            }
            people {
                a_retry_puts_what_ended_back_to_work
                a_retry_leaves_what_arrived_or_runs_alone
                a_retry_of_what_is_in_doubt_is_looked_up_first
                a_retry_waits_for_its_turn
                what_was_skipped_without_an_action_stays_skipped
                a_discarded_delivery_lets_the_next_go
                what_arrived_or_runs_is_not_discarded
                an_order_is_traced_by_any_of_its_numbers
                deliveries_are_filtered_and_paged
                counts_say_how_many_stand_where
            }
            plan {
                a_plan_names_what_is_due_now
                an_event_is_planned_once
                an_end_in_the_plan_takes_no_place
                a_quarantined_event_says_why_and_can_be_planned_again
                planning_again_revives_only_what_had_not_arrived
            }
            upkeep {
                a_duty_is_held_by_one_node_at_a_time
                a_setting_is_kept
                documents_are_kept_beside_their_delivery_until_they_are_old
                only_what_has_ended_is_deleted
                a_probe_writes
            }
        }
    };
    (@cases $open:expr; $($group:ident { $($case:ident)* })*) => {$($(
        #[tokio::test]
        async fn $case() {
            let (store, _keep) = $open.await;
            $crate::store::$group::$case(store).await;
        }
    )*)*};
}

/// Tests that hold for every store that can be opened twice: `open` gives two handles of one database, and something to
/// keep alive while they are used.
#[macro_export]
macro_rules! store_race_suite {
    ($open:expr) => {
        $crate::store_race_suite! { @cases $open;
            race {
                racing_nodes_keep_every_lane_in_order
            }
        }
    };
    (@cases $open:expr; $($group:ident { $($case:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (one, two, _keep) = $open.await;
            $crate::store::$group::$case(one, two).await;
        }
    )*)*};
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_suite() {
        let list = include_str!("store.rs");
        for file in [
            include_str!("store/deliver.rs"),
            include_str!("store/intake.rs"),
            include_str!("store/lanes.rs"),
            include_str!("store/model.rs"),
            include_str!("store/notes.rs"),
            include_str!("store/people.rs"),
            include_str!("store/plan.rs"),
            include_str!("store/race.rs"),
            include_str!("store/upkeep.rs"),
        ] {
            for case in file.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('(')) {
                assert!(list.lines().any(|line| line.trim() == case.0), "`{}` is in no suite", case.0);
            }
        }
    }
}
