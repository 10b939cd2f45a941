//! The worker: RabbitMQ in, account inquiry and top-up, outcomes out.
