"""`desireline verify`: people, journeys and figures once more, from the stored touchpoints, by a code path of its own."""
